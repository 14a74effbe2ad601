/* SPDX-License-Identifier: BSD-2-Clause */
/* An access log for tests: its ring, and the lines that come out of it. */
#ifndef TESTS_ACCESS_TAP_H
#define TESTS_ACCESS_TAP_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/ring.h"
#include "core/access.h"
#include "core/access_line.h"

enum { TAP_RING = 1024 * 1024, TAP_TARGET = 7 };

struct access_tap {
    void               *memory;
    uint32_t            state;          /* of the bell: nobody is woken */
    struct ring         ring;
    struct ring_reader  reader;
    struct access_form *form;
    struct access_log  *log;
    char               *text;           /* all lines until now, and a NUL */
    size_t              n;
};

static inline void tap_open(struct access_tap *t, const char *form, const struct access_source *source, size_t size)
{
    memset(t, 0, sizeof *t);
    t->memory = mmap(NULL, RING_CONTROL_SIZE + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(t->memory, MAP_FAILED);
    ring_prepare(t->memory, size, "worker main.0");
    ck_assert_int_eq(ring_join(&t->ring, t->memory, &(struct bell){ &t->state, -1 }), 0);
    ring_reader_open(&t->reader, t->memory);
    t->form = access_form_new(form);
    t->log = access_log_new(&t->ring, TAP_TARGET, source);
    t->text = calloc(1, 1);
    ck_assert(t->form != NULL && t->log != NULL && t->text != NULL);
}

static inline void tap_line(struct access_tap *t, const struct access_taken *taken)
{
    const struct access_source source = { taken->model, taken->worker };
    const struct access_facts facts = { taken->reply, &source, taken->duration_us };

    ck_assert_uint_eq(taken->target, TAP_TARGET);
    t->text = realloc(t->text, t->n + access_line_max(t->form, &facts) + 2);
    ck_assert_ptr_nonnull(t->text);
    t->n = (size_t)(access_line_put(t->text + t->n, t->form, &facts) - t->text);
    t->text[t->n] = '\0';
}

/* Takes what has come since, and returns all lines. */
static inline const char *tap_read(struct access_tap *t)
{
    _Alignas(16) static char bytes[RING_RECORD_MAX];
    struct access_taken taken;
    struct ring_record r;
    int got;

    while ((got = ring_take(&t->reader, &r, bytes)) == 1) {
        ck_assert_uint_eq(r.kind, ACCESS_RECORD);
        ck_assert(access_read(&taken, bytes, r.n));
        tap_line(t, &taken);
    }
    ck_assert_int_eq(got, 0);
    ring_release(&t->reader);
    return t->text;
}

static inline void tap_close(struct access_tap *t)
{
    access_log_free(t->log);
    access_form_free(t->form);
    munmap(t->memory, RING_CONTROL_SIZE + t->ring.size);
    free(t->text);
}

#endif
