/* SPDX-License-Identifier: BSD-2-Clause */
/* The sandbox in its order: the bounding set while this process may still change it, then, when files and sockets are
 * open, new privileges, capabilities and files, and last, when the loop is ready, system calls.
 *
 * What a worker still opens by name after its start are files beneath its roots, and /dev/null (driver/roster).
 * Everything else is open by then or comes from the master.  The logger opens none.
 *
 * A worker under the sandbox is not dumpable (PR_SET_DUMPABLE): its memory has what clients sent, and no other process
 * of its account may read it, by a core file or by ptrace(2).  Where it crashed, the log says (daemon/crash).
 * Sanitizers look at the whole process in ways that a sandbox forbids: in a build with them only privileges go. */
#include "daemon/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "daemon/caps.h"
#include "daemon/filter.h"
#include "daemon/landlock.h"

#ifdef SANITIZED
enum { WITH_SANITIZER = 1 };
#else
enum { WITH_SANITIZER = 0 };
#endif

static const char *const files_that_stay[] = { "/dev/null", NULL }, *const no_files[] = { NULL };

/* ---- what there is ---- */

static bool landlock_available(char *why, size_t why_size)
{
    if (landlock_version() > 0)
        return true;
    if (errno == ENOSYS || errno == EOPNOTSUPP)
        snprintf(why, why_size, "not %s this kernel", errno == ENOSYS ? "in" : "switched on in");
    else
        snprintf(why, why_size, "forbidden: %s (a filter of system calls?)", strerror(errno));
    return false;
}

static bool build_allows(char *why, size_t why_size)
{
    if (WITH_SANITIZER)
        snprintf(why, why_size, "not in a build with sanitizers");
    return !WITH_SANITIZER;
}

bool sandbox_check(const char *word, char *why, size_t why_size)
{
    char reason[128] = "";

    (void)word;
    if (!build_allows(why, why_size))
        return false;
    if (!landlock_available(reason, sizeof reason)) {
        snprintf(why, why_size, "Landlock is %s", reason);
        return false;
    }
    if (!filter_available(reason, sizeof reason)) {
        snprintf(why, why_size, "seccomp is %s", reason);
        return false;
    }
    return true;
}

/* ---- entering ---- */

/* A part could not be had: for `why`, or for errno if that is NULL.  -1 if it must be. */
static int sandbox_miss(struct sandbox *s, const char *part, const char *why)
{
    size_t n = strlen(s->missing);
    int error = errno;

    snprintf(s->missing + n, sizeof s->missing - n, "%s%s (%s)", n > 0 ? ", " : "", part,
             why != NULL ? why : strerror(error));
    errno = why != NULL ? ENOTSUP : error;
    return s->want == CONF_SANDBOX_REQUIRE ? -1 : 0;
}

static int enter_no_new_privs(struct sandbox *s)
{
    s->no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    return s->no_new_privs ? 0 : sandbox_miss(s, "no_new_privs", NULL);
}

static int enter_no_capabilities(struct sandbox *s)
{
    s->no_capabilities = caps_drop() == 0;
    return s->no_capabilities ? 0 : sandbox_miss(s, "no capabilities", NULL);
}

static int enter_landlock(struct sandbox *s, const int *folders, unsigned folder_count, const char *const *files)
{
    char why[128] = "";

    if (!build_allows(why, sizeof why) || !landlock_available(why, sizeof why))
        return sandbox_miss(s, "landlock", why);
    s->landlock = landlock_enter(folders, folder_count, files);
    return s->landlock > 0 ? 0 : sandbox_miss(s, "landlock", NULL);
}

void sandbox_master(enum conf_sandbox want)
{
    if (want == CONF_SANDBOX_OFF)
        return;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        log_errno(LOG_WARN, NULL, "master: cannot give up new privileges");
    if (caps_keep_master() == -1)
        log_errno(LOG_WARN, NULL, "master: cannot give up capabilities");
}

int sandbox_begin(struct sandbox *s, enum conf_sandbox want)
{
    *s = (struct sandbox){ .want = want };
    return want == CONF_SANDBOX_OFF || caps_bound() == 0 ? 0 : sandbox_miss(s, "bounded capabilities", NULL);
}

int sandbox_close_files(struct sandbox *s, const int *folders, unsigned folder_count)
{
    if (s->want == CONF_SANDBOX_OFF)
        return 0;
    if (!WITH_SANITIZER)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (enter_no_new_privs(s) == -1 || enter_no_capabilities(s) == -1)
        return -1;
    return enter_landlock(s, folders, folder_count, files_that_stay);
}

static int enter_filter(struct sandbox *s, const struct filter_wants *wants)
{
    char why[128] = "";
    int calls;

    if (s->want == CONF_SANDBOX_OFF)
        return 0;
    if (!build_allows(why, sizeof why) || !filter_available(why, sizeof why))
        return sandbox_miss(s, "seccomp", why);
    calls = filter_enter(wants);
    if (calls == -1)
        return sandbox_miss(s, "seccomp", NULL);
    s->calls = calls;
    return 0;
}

int sandbox_close_calls(struct sandbox *s, const struct model *m)
{
    return enter_filter(s, &(struct filter_wants){ .calls = m->calls });
}

int sandbox_logger(struct sandbox *s)
{
    if (s->want == CONF_SANDBOX_OFF)
        return 0;
    if (!WITH_SANITIZER)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (enter_no_new_privs(s) == -1 || enter_no_capabilities(s) == -1 || enter_landlock(s, NULL, 0, no_files) == -1)
        return -1;
    return enter_filter(s, &(struct filter_wants){ .logger = true });
}

/* ---- telling ---- */

/* The bits of the word; 0 means that no worker has said anything. */
enum {
    WORD_SAID = 1 << 0, WORD_OFF = 1 << 1, WORD_PRIVS = 1 << 2, WORD_CAPS = 1 << 3,
    WORD_LANDLOCK = 8, WORD_CALLS = 16,         /* shifts: 8 and 16 bits */
    LANDLOCK_BITS = 0xff, CALLS_BITS = 0xffff
};

uint32_t sandbox_word(const struct sandbox *s)
{
    if (s->want == CONF_SANDBOX_OFF)
        return WORD_SAID | WORD_OFF;
    return WORD_SAID | (s->no_new_privs ? WORD_PRIVS : 0u) | (s->no_capabilities ? WORD_CAPS : 0u) |
           ((uint32_t)s->landlock & LANDLOCK_BITS) << WORD_LANDLOCK | ((uint32_t)s->calls & CALLS_BITS) << WORD_CALLS;
}

const char *sandbox_text(uint32_t word, const struct model *m, char text[SANDBOX_TEXT_SIZE])
{
    unsigned landlock = word >> WORD_LANDLOCK & LANDLOCK_BITS, calls = word >> WORD_CALLS & CALLS_BITS;
    char files[32] = "", left[32] = "";

    if (landlock > 0)
        snprintf(files, sizeof files, ", landlock ABI %u", landlock);
    if (calls > 0)
        snprintf(left, sizeof left, ", seccomp %u calls", calls);
    snprintf(text, SANDBOX_TEXT_SIZE, "%s%s%s%s%s%s", (word & WORD_OFF) != 0 ? ", off" : "",
             (word & WORD_PRIVS) != 0 ? ", no_new_privs" : "", (word & WORD_CAPS) != 0 ? ", no capabilities" : "",
             files, left, (word & WORD_SAID) != 0 && m->guard != NULL ? m->guard : "");
    return text[0] == ',' ? text + 2 : text;
}
