/* SPDX-License-Identifier: BSD-2-Clause */
/* Access lines: formatted into one buffer, written in batches of whole lines.  Owns the buffer, not the file.
 *
 * Nobody's input can forge a line or a field: quotes, backslashes, control bytes and what is not plain text
 * are escaped.  In `combined` every byte outside printable ASCII is \xNN.  In `json` valid UTF-8 stays as it
 * is; a byte that is not part of valid UTF-8 becomes the character of its number, \u0080 to \u00ff (so a
 * reader sees Latin-1 where a client sent Latin-1). */
#include "core/access.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/utf8.h"

enum {
    BATCH_BYTES = 64 * 1024,    /* gathered at most; one write each */
    BATCH_MS = 1000,            /* a line waits at most so long */
    ESCAPED_MAX = 6,            /* bytes that one byte of input may need: \u00NN */
    SERVICE_MAX = 256,          /* bytes of a service's name that a line shows */
    FRAME_MAX = 512,            /* bytes of a line beside its texts: field names, numbers, date, address */
    WRITES_MAX = 16             /* in one flush: who takes a few bytes at a time must not hold the loop */
};

_Static_assert(FRAME_MAX + ESCAPED_MAX * (ACCESS_TEXT_MAX + SERVICE_MAX) <= BATCH_BYTES, "any line fits");

struct access_log {
    pthread_mutex_t    lock;            /* on the blocking model many threads finish replies */
    int                fd;
    enum access_format format;
    bool               failing;         /* said once, until it works again */
    uint64_t           lost;            /* lines, since the last flush told */
    uint64_t           lost_in_a_row;   /* since it began to fail */
    uint64_t           due_ms;          /* UINT64_MAX: nothing is gathered */
    size_t             n;
    size_t             torn_n;          /* first bytes: the rest of a line whose begin is in the file */
    char               batch[BATCH_BYTES];
};

/* A pipe or a terminal that nobody reads must not stop the worker; regular files do not know the flag. */
static void never_block(int fd)
{
    struct stat st;
    if (fstat(fd, &st) == -1 || S_ISREG(st.st_mode))
        return;
    int flags = fcntl(fd, F_GETFL);
    if (flags != -1)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

struct access_log *access_log_new(int fd, enum access_format format)
{
    struct access_log *l = malloc(sizeof *l);
    if (l == NULL)
        return NULL;
    pthread_mutex_init(&l->lock, NULL);
    l->fd = fd;
    l->format = format;
    l->failing = false;
    l->lost = l->lost_in_a_row = 0;
    __atomic_store_n(&l->due_ms, UINT64_MAX, __ATOMIC_RELAXED);
    l->n = l->torn_n = 0;
    never_block(fd);
    return l;
}

static void say_failing(struct access_log *l, int cause)
{
    if (l->failing)
        return;
    l->failing = true;
    static const struct log_about about = { .event = "access-log-failed" };
    errno = cause;
    log_errno(LOG_ERROR, &about, "access log: cannot write, lines are lost until it works again");
}

static void say_works(struct access_log *l)
{
    if (!l->failing)
        return;
    l->failing = false;
    static const struct log_about about = { .event = "access-log-works" };
    log_write(LOG_NOTICE, &about, "access log: works again, %llu lines were lost",
              (unsigned long long)l->lost_in_a_row);
    l->lost_in_a_row = 0;
}

/* Writes as much as the file takes at once; returns how much.  *cause: why not all. */
static size_t write_batch(struct access_log *l, int *cause)
{
    size_t done = 0;
    *cause = EAGAIN;
    for (int i = 0; i < WRITES_MAX && done < l->n; i++) {
        ssize_t n = write(l->fd, l->batch + done, l->n - done);
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0) {
            *cause = n == 0 ? EIO : errno;
            break;
        }
        done += (size_t)n;
    }
    return done;
}

static uint64_t count_lines(const char *p, const char *end)
{
    uint64_t lines = 0;
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        p++;
    }
    return lines;
}

/* `done` bytes are in the file, the rest is given up, but for the end of a line that is in it by half: that
 * comes first next time, so that the file has whole lines only. */
static void drop_rest(struct access_log *l, size_t done)
{
    const char *rest = l->batch + done, *end = l->batch + l->n;
    bool torn = done > 0 ? rest[-1] != '\n' : l->torn_n > 0;
    size_t keep = 0;
    if (torn)
        keep = (size_t)((const char *)memchr(rest, '\n', (size_t)(end - rest)) - rest) + 1;
    uint64_t lost = count_lines(rest + keep, end);
    l->lost += lost;
    l->lost_in_a_row += lost;
    memmove(l->batch, rest, keep);
    l->n = l->torn_n = keep;
}

static void write_out(struct access_log *l)
{
    int cause;
    __atomic_store_n(&l->due_ms, UINT64_MAX, __ATOMIC_RELAXED);
    if (l->n == 0)
        return;
    size_t done = write_batch(l, &cause);
    if (done == l->n) {
        l->n = l->torn_n = 0;
        say_works(l);
        return;
    }
    drop_rest(l, done);
    say_failing(l, cause);
}

/* The end of a torn line belongs behind its begin, in the old file; if that takes it no more, it is lost. */
void access_log_reopen(struct access_log *l, int fd)
{
    pthread_mutex_lock(&l->lock);
    write_out(l);
    if (l->torn_n > 0) {
        l->lost++;
        l->lost_in_a_row++;
    }
    l->n = l->torn_n = 0;
    l->fd = fd;
    never_block(fd);
    pthread_mutex_unlock(&l->lock);
}

uint64_t access_log_flush(struct access_log *l)
{
    pthread_mutex_lock(&l->lock);
    write_out(l);
    uint64_t lost = l->lost;
    l->lost = 0;
    pthread_mutex_unlock(&l->lock);
    return lost;
}

uint64_t access_log_due(const struct access_log *l)
{
    return __atomic_load_n(&l->due_ms, __ATOMIC_RELAXED);
}

void access_log_free(struct access_log *l)
{
    if (l == NULL)
        return;
    write_out(l);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* The texts of a record, in the order in which they stand in it. */
struct access_texts {
    struct span method, target, version, referer, agent, host;
};

static struct span next_text(const char **p, uint16_t n)
{
    struct span s = { *p, n };
    *p += n;
    return s;
}

static struct access_texts texts_of(const struct access *a)
{
    const char *p = a->text;
    struct access_texts t;
    t.method = next_text(&p, a->method_n);
    t.target = next_text(&p, a->target_n);
    t.version = next_text(&p, a->version_n);
    t.referer = next_text(&p, a->referer_n);
    t.agent = next_text(&p, a->agent_n);
    t.host = next_text(&p, a->host_n);
    return t;
}

static struct span service_of(const struct access *a)
{
    struct span s = span_of(a->service);
    return (struct span){ s.p, s.n < SERVICE_MAX ? s.n : SERVICE_MAX };
}

/* Room was made sure of: nothing below looks at the end of the batch. */

static void add_bytes(struct access_log *l, const char *p, size_t n)
{
    memcpy(l->batch + l->n, p, n);
    l->n += n;
}

static void add_word(struct access_log *l, const char *word)
{
    add_bytes(l, word, strlen(word));
}

static void add_number(struct access_log *l, uint64_t value)
{
    l->n += fmt_u64(l->batch + l->n, value);
}

static void add_hex_byte(struct access_log *l, const char *start, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    add_word(l, start);
    l->batch[l->n++] = digits[byte >> 4];
    l->batch[l->n++] = digits[byte & 15];
}

static void add_peer(struct access_log *l, const struct peer *p)
{
    char text[PEER_TEXT_SIZE];
    add_bytes(l, text, peer_format_address(p, text));
}

/* Text for `combined`: printable ASCII but quote and backslash, "-" when empty. */
static void add_combined_text(struct access_log *l, struct span s)
{
    if (s.n == 0)
        add_word(l, "-");
    for (size_t i = 0; i < s.n; i++) {
        unsigned char byte = (unsigned char)s.p[i];
        if (byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\')
            add_hex_byte(l, "\\x", byte);
        else
            l->batch[l->n++] = (char)byte;
    }
}

static void add_combined_request(struct access_log *l, const struct access_texts *t)
{
    if (t->method.n + t->target.n + t->version.n == 0) {
        add_word(l, "-");       /* nothing that looks like a request came */
        return;
    }
    add_combined_text(l, t->method);
    add_word(l, " ");
    add_combined_text(l, t->target);
    add_word(l, " ");
    add_combined_text(l, t->version);
}

/* ADDRESS - - [DATE] "METHOD TARGET VERSION" STATUS BYTES "REFERER" "AGENT" */
static void add_combined(struct access_log *l, const struct access *a)
{
    struct access_texts t = texts_of(a);
    add_peer(l, &a->peer);
    add_word(l, " - - [");
    fmt_clf_date(l->batch + l->n, a->when_s);
    l->n += FMT_CLF_DATE_SIZE;
    add_word(l, "] \"");
    add_combined_request(l, &t);
    add_word(l, "\" ");
    add_number(l, a->status);
    add_word(l, " ");
    add_number(l, a->body_bytes);
    add_word(l, " \"");
    add_combined_text(l, t.referer);
    add_word(l, "\" \"");
    add_combined_text(l, t.agent);
    add_word(l, "\"\n");
}

/* Returns how many bytes of input it took. */
static size_t add_json_character(struct access_log *l, const char *p, const char *end)
{
    size_t n = utf8_printable(p, end);
    if (n == 0) {
        n = utf8_length(p, end) == 2 ? 2 : 1;   /* U+0080 to U+009F: the second byte is the number */
        add_hex_byte(l, "\\u00", (unsigned char)p[n - 1]);
        return n;
    }
    if (*p == '"' || *p == '\\')
        l->batch[l->n++] = '\\';
    add_bytes(l, p, n);
    return n;
}

/* `before` ends with the quote that opens the text. */
static void add_json_text(struct access_log *l, const char *before, struct span s)
{
    add_word(l, before);
    for (size_t i = 0; i < s.n;)
        i += add_json_character(l, s.p + i, s.p + s.n);
    add_word(l, "\"");
}

/* One object; every member is always there. */
static void add_json(struct access_log *l, const struct access *a, uint64_t duration_us)
{
    struct access_texts t = texts_of(a);
    add_word(l, "{\"time\":\"");
    fmt_timestamp(l->batch + l->n, a->when_s, 0);
    l->n += FMT_TIMESTAMP_SIZE;
    add_json_text(l, "\",\"service\":\"", service_of(a));
    add_word(l, ",\"peer\":\"");
    add_peer(l, &a->peer);
    add_json_text(l, "\",\"method\":\"", t.method);
    add_json_text(l, ",\"target\":\"", t.target);
    add_json_text(l, ",\"version\":\"", t.version);
    add_json_text(l, ",\"host\":\"", t.host);
    add_word(l, ",\"status\":");
    add_number(l, a->status);
    add_word(l, ",\"bytes\":");
    add_number(l, a->body_bytes);
    add_word(l, ",\"duration_us\":");
    add_number(l, duration_us);
    add_json_text(l, ",\"referer\":\"", t.referer);
    add_json_text(l, ",\"agent\":\"", t.agent);
    add_word(l, "}\n");
}

/* At most so many bytes, whatever the texts hold. */
static size_t line_size_max(const struct access *a)
{
    size_t text = (size_t)a->method_n + a->target_n + a->version_n + a->referer_n + a->agent_n + a->host_n;
    return FRAME_MAX + ESCAPED_MAX * (text + service_of(a).n);
}

static void line_add(struct access_log *l, const struct access *a, uint64_t now_us)
{
    if (line_size_max(a) > BATCH_BYTES - l->n)
        write_out(l);
    if (line_size_max(a) > BATCH_BYTES - l->n) {    /* beside a torn line that the file still refuses */
        l->lost++;
        l->lost_in_a_row++;
        return;
    }
    if (l->due_ms == UINT64_MAX)
        __atomic_store_n(&l->due_ms, now_us / 1000 + BATCH_MS, __ATOMIC_RELAXED);
    if (l->format == ACCESS_JSON)
        add_json(l, a, now_us > a->started_us ? now_us - a->started_us : 0);
    else
        add_combined(l, a);
}

void access_log_add(struct access_log *l, const struct access *a, uint64_t now_us)
{
    pthread_mutex_lock(&l->lock);
    line_add(l, a, now_us);
    pthread_mutex_unlock(&l->lock);
}
