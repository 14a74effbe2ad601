/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager is told.  It may be busy with other things, and its socket full: nobody waits for that, or
 * clients would.  Only the latest change of state counts: who is told READY=1 need not hear that it was reloading. */
#include "daemon/notice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/master_state.h"
#include "daemon/sysd.h"

enum {
    LOOK_AGAIN_MS = 10000,      /* between two looks at how many connections it should know of */
    SAY_AGAIN_MS = 200          /* what it could not take */
};

static const char *state_word(const struct master *m)
{
    if (m->phase == MASTER_STOPPING)
        return "Stopping";
    return m->phase == MASTER_RUNNING && !reload_is_idle(m) ? "Reloading" : "Serving";
}

static void describe_reload(const struct master *m, char *text, size_t size)
{
    struct tm local;
    char at[32] = "";

    text[0] = '\0';
    if (m->last.attempt == 0)
        return;
    if (localtime_r(&m->last.when, &local) != NULL)
        strftime(at, sizeof at, "%H:%M:%S", &local);
    if (m->last.ok)
        snprintf(text, size, "; reloaded at %s", at);
    else
        snprintf(text, size, "; the reload at %s failed: %.300s", at, m->last.errors != NULL ? m->last.errors : "");
    text[strcspn(text, "\n")] = '\0';   /* the first error: systemctl shows one line */
}

void notice_tell(struct master *m, const char *state)
{
    struct notice *n = &m->notice;
    const struct crew *c = &m->serving->crew;
    char pools[1024], reload[400], text[2048];      /* a longer list of pools is cut */

    if (*state != '\0')
        snprintf(n->owed, sizeof n->owed, "%s", state);
    n->active = master_connections(m);
    n->told_ms = clock_monotonic_ms();
    generation_describe(m->serving, pools, sizeof pools);
    describe_reload(m, reload, sizeof reload);
    snprintf(text, sizeof text, "%s%sSTATUS=%s: %u of %u worker%s ready%s, %" PRIu64 " connection%s, generation %u%s",
             n->owed, n->owed[0] != '\0' ? "\n" : "", state_word(m), crew_ready(c), c->count, c->count == 1 ? "" : "s",
             pools, n->active, n->active == 1 ? "" : "s", m->serving->number, reload);
    if (sysd_notify(text))
        n->owed[0] = '\0';
}

uint64_t notice_due_ms(const struct master *m)
{
    if (m->notice.owed[0] != '\0')
        return m->notice.told_ms + SAY_AGAIN_MS;
    return m->phase == MASTER_RUNNING && sysd_listens() ? m->notice.told_ms + LOOK_AGAIN_MS : UINT64_MAX;
}

void notice_turn(struct master *m, uint64_t now_ms)
{
    if (now_ms < notice_due_ms(m))
        return;
    if (m->notice.owed[0] != '\0' || master_connections(m) != m->notice.active)
        notice_tell(m, "");
    m->notice.told_ms = now_ms;
}
