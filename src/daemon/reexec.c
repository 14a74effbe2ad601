/* SPDX-License-Identifier: BSD-2-Clause */
/* How a reload begins.  There is one way for a new configuration and a new program:
 *
 *   the program that stands at our path now tests the configuration, and whether it could take over what we have
 *     --> it takes over this process, which keeps its pid, its children and its descriptors (daemon/state)
 *     --> there it reads the configuration, and starts the fresh generation beside what it has found (daemon/reload)
 *
 * The master goes on as it was while the test runs, and when it fails; when exec fails, too.
 * Owns the test; decides when this program ends. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/master.h"
#include "daemon/master_state.h"
#include "daemon/signals.h"
#include "daemon/state.h"

/* Fails, from errno. */
static void fail_errno(struct master *m, const char *what, const char *why)
{
    char line[PATH_MAX + 256];

    snprintf(line, sizeof line, "%s: %s: %s\n", m->program, what, strerror(errno));
    reload_fail_early(m, line, why);
}

/* ---- the test ---- */

/* Those that are in force, as they were asked to be changed since the last reload began. */
static int choose_overrides(struct master *m)
{
    static const struct overrides none;
    int rc = overrides_copy(&m->trying, m->wanted_fresh ? &none : &m->in_force);

    for (unsigned i = 0; i < m->dropped.count; i++)
        overrides_remove(&m->trying, m->dropped.v[i]);
    for (unsigned i = 0; i < m->wanted.count; i++)
        rc |= overrides_put(&m->trying, m->wanted.v[i]);
    overrides_free(&m->wanted);
    overrides_free(&m->dropped);
    m->wanted_fresh = false;
    return rc;
}

static int test_start(struct master *m, const struct state *s)
{
    struct program_words words = { .path = m->program, .again = m->again, .more = &m->trying, .state = s->fd,
                                   .test = true };
    char **command = program_command(&words);
    int rc = command == NULL ? -1 : program_test_begin(&m->test, command, s->fd, clock_monotonic_ms());

    free(command);
    return rc;
}

void reload_begin(struct master *m)
{
    struct state s = { .fd = -1 };
    char state[NOTICE_STATE_SIZE];

    m->reload_wanted = false;
    m->attempts++;
    m->reload_began_ms = clock_monotonic_ms();
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_us());
    notice_tell(m, state);
    if (choose_overrides(m) == -1 || state_write(&s, m) == -1 || test_start(m, &s) == -1) {
        fail_errno(m, "cannot be asked to test the configuration", "the configuration cannot be tested");
        program_test_end(&m->test);
    }
    state_close(&s);
}

/* ---- the change ---- */

/* What was heard and not yet obeyed becomes pending again, and what comes from now on stays so: that is kept over exec. */
static void signals_carry(const struct master *m, sigset_t *before)
{
    int number;

    signals_hold(before);
    while ((number = signals_next(m->signals)) != 0)
        kill(getpid(), number);
}

static int become(struct master *m, const struct state *s)
{
    struct program_words words = { .path = m->program, .again = m->again, .state = s->fd };
    char **command = program_command(&words);
    int rc = command == NULL ? -1 : program_become(command, s->kept, s->kept_count);

    free(command);
    return rc;
}

/* What the test has read is older than this text, and after exec there is nothing else: a master that cannot read it
 * has ended.  The complaints, if there are any, are for the caller to free. */
static bool is_readable(const struct master *m, const struct state *s, char **complaints)
{
    size_t size = 0;
    FILE *to = open_memstream(complaints, &size);
    bool sound;

    if (to == NULL)
        return false;
    sound = master_test_state(m->again, fcntl(s->fd, F_DUPFD_CLOEXEC, 0), to);
    fclose(to);
    return sound;
}

/* Only comes back when it has failed. */
static void change_over(struct master *m)
{
    struct state s = { .fd = -1 };
    char *complaints = NULL;
    sigset_t before;

    survey_expire(&m->surveys, UINT64_MAX);     /* who asked for connections hears what is known by now */
    signals_carry(m, &before);
    if (state_write(&s, m) == 0 && is_readable(m, &s, &complaints))
        (void)become(m, &s);
    state_close(&s);
    signals_release(&before);
    if (complaints != NULL && *complaints != '\0')
        reload_fail_early(m, complaints, "the program cannot take over");
    else
        fail_errno(m, "cannot take over", "the program cannot take over");
    free(complaints);
}

void reload_test_step(struct master *m, uint64_t now_ms)
{
    bool ok;

    if (!program_test_step(&m->test, m->program, now_ms, &ok))
        return;
    if (ok)
        change_over(m);
    else
        reload_fail_early(m, m->test.said, m->test.refused ? "the configuration has errors"
                                                           : "the program cannot take over");
    program_test_end(&m->test);
}

/* ---- in the program that has taken over ---- */

/* The configuration with all overrides, or NULL, and then the complaints are in *text, which the caller frees. */
static struct conf *read_again(const struct master *m, char **text)
{
    struct conf_options options = *m->again;
    const char **all = calloc((size_t)m->again->override_count + m->trying.count + 1, sizeof *all);
    size_t size = 0;
    FILE *to = open_memstream(text, &size);
    struct conf *c = NULL;

    for (unsigned i = 0; all != NULL && i < m->again->override_count; i++)
        all[i] = m->again->overrides[i];
    for (unsigned i = 0; all != NULL && i < m->trying.count; i++)
        all[options.override_count++] = m->trying.v[i];
    options.overrides = all;
    if (all != NULL && to != NULL)
        c = conf_read(&options, to);
    if (to != NULL)
        fclose(to);
    free(all);
    return c;
}

void reload_go_on(struct master *m)
{
    char *text = NULL;
    struct conf *c = read_again(m, &text);

    m->reload_until_ms = clock_monotonic_ms() + RELOAD_READY_MS;
    if (c == NULL)              /* it was changed since it was tested */
        reload_fail_early(m, text != NULL ? text : "", "the configuration has errors");
    else if (reload_open(m, c) == -1 && m->fresh != NULL)
        reload_fail(m, "not everything could be opened");
    else if (m->fresh == NULL)
        reload_fail_early(m, "out of memory\n", "there is no room for another generation");
    free(text);
}
