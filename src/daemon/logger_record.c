/* SPDX-License-Identifier: BSD-2-Clause */
/* Log lines as records: what is said, about whom, and when. */
#include "daemon/logger_record.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { WORDS = 5, WORD_MAX = 255 };     /* the members of struct log_about, and the bytes of one */

/* In front of the words, each with its NUL, and the line. */
struct record_wire {
    uint64_t when_ms;
    uint32_t target;
    uint16_t line_n;
    uint8_t  level;
    uint8_t  words;                     /* bits: which are there */
    uint8_t  word_n[WORDS];             /* without the NUL */
    uint8_t  nothing[3];
};

_Static_assert(sizeof(struct record_wire) + WORDS * (WORD_MAX + 1) + LOG_LINE_MAX < RING_RECORD_MAX - 64,
               "any line fits a ring");

bool logger_record_put(struct ring *r, uint32_t target, enum log_level level, const struct log_about *about,
                       struct span line)
{
    const char *const words[WORDS] = { about->event, about->service, about->worker, about->model, about->peer };
    struct record_wire w = { .target = target, .level = (uint8_t)level,
                             .line_n = (uint16_t)(line.n < LOG_LINE_MAX ? line.n : LOG_LINE_MAX) };
    struct span parts[2 + 2 * WORDS] = { { (const char *)&w, sizeof w } };
    unsigned n = 1;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    w.when_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (unsigned i = 0; i < WORDS; i++) {
        if (words[i] == NULL)
            continue;
        w.words |= (uint8_t)(1 << i);
        w.word_n[i] = (uint8_t)strnlen(words[i], WORD_MAX);
        parts[n++] = (struct span){ words[i], w.word_n[i] };
        parts[n++] = SPAN("\0");
    }
    parts[n++] = (struct span){ line.p, w.line_n };
    return ring_put(r, LOG_RECORD, clock_monotonic_us(), true, parts, n);
}

/* base/log leaves none in a line; who has taken over a worker may put them in, to forge lines. */
static bool has_controls(const char *p, size_t n)
{
    bool any = false;

    for (size_t i = 0; i < n; i++)
        any |= (unsigned char)p[i] < 0x20 || p[i] == 0x7f;
    return any;
}

/* The next word, behind which *at moves; false: it does not end where it should. */
static bool record_word(const struct record_wire *w, unsigned i, const char **at, const char *end, const char **word)
{
    size_t n = w->word_n[i];

    *word = NULL;
    if ((w->words & 1 << i) == 0)
        return true;
    if ((size_t)(end - *at) <= n || memchr(*at, '\0', n + 1) != *at + n)
        return false;
    *word = *at;
    *at += n + 1;
    return true;
}

bool logger_record_read(struct logger_record *r, const char *bytes, size_t n)
{
    struct log_about *a = &r->about;
    const char **const words[WORDS] = { &a->event, &a->service, &a->worker, &a->model, &a->peer };
    const char *at = bytes + sizeof(struct record_wire), *end = bytes + n;
    struct record_wire w;

    if (n < sizeof w)
        return false;
    memcpy(&w, bytes, sizeof w);
    for (unsigned i = 0; i < WORDS; i++)
        if (!record_word(&w, i, &at, end, words[i]))
            return false;
    if ((size_t)(end - at) != w.line_n || w.line_n > LOG_LINE_MAX || w.level < LOG_ERROR || w.level > LOG_DEBUG ||
        has_controls(at, w.line_n))
        return false;
    r->target = w.target;
    r->level = (enum log_level)w.level;
    r->when_ms = w.when_ms;
    r->line = (struct span){ at, w.line_n };
    return true;
}
