/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors gathered in shared memory.  Room is taken first and filled then, so a process that dies in between leaves
 * zeros, which are passed over. */
#include "daemon/report.h"

#include <string.h>
#include <sys/mman.h>

struct report *report_new(void)
{
    void *page = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? NULL : page;
}

void report_free(struct report *r)
{
    if (r != NULL)
        munmap(r, sizeof *r);
}

static uint32_t report_used(const struct report *r)
{
    return __atomic_load_n(&r->used, __ATOMIC_ACQUIRE);
}

bool report_is_cut(const struct report *r)
{
    return report_used(r) > REPORT_SIZE;
}

/* Once a line did not fit, none does: who says much does not make the counter run over. */
void report_add(struct report *r, struct span line)
{
    uint32_t at;

    if (line.n >= REPORT_SIZE || report_is_cut(r))
        return;
    at = __atomic_fetch_add(&r->used, (uint32_t)line.n + 1, __ATOMIC_ACQ_REL);
    if (at > REPORT_SIZE || REPORT_SIZE - at < line.n + 1)
        return;
    memcpy(r->text + at, line.p, line.n);
    r->text[at + line.n] = '\n';
}

void report_add_lines(struct report *r, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        if (n > 0)
            report_add(r, (struct span){ text, n });
        text += n + (text[n] == '\n');
    }
}

bool report_next(const struct report *r, size_t *at, struct span *line)
{
    size_t used = report_used(r), end = used < REPORT_SIZE ? used : REPORT_SIZE;

    while (*at < end && (r->text[*at] == '\0' || r->text[*at] == '\n'))
        ++*at;
    if (*at >= end)
        return false;
    line->p = r->text + *at;
    line->n = 0;
    while (*at < end && r->text[*at] != '\n' && r->text[*at] != '\0') {
        ++*at;
        line->n++;
    }
    return true;
}
