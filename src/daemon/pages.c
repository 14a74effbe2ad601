/* SPDX-License-Identifier: BSD-2-Clause */
/* Error pages, read when a worker begins: nobody waits for a disk while an error is told. */
#include "daemon/pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/text_file.h"

struct page_set {
    struct text_file *files;    /* of this set's own pages */
    unsigned          file_count;
    struct http_page *pages;
    unsigned          page_count;
};

static unsigned statuses_count(const struct conf_error_pages *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->count; i++)
        n += c->v[i].status_count;
    return n;
}

static int page_read(struct page_set *s, const struct conf_error_page *page, const struct mime *mime,
                     const char *path)
{
    struct text_file *f = &s->files[s->file_count];
    char place[CONF_PLACE_SIZE];

    if (text_file_read(f, page->file, CONF_ERROR_PAGE_MAX) == -1)
        return log_errno(LOG_ERROR, NULL, "%s%s.error_pages: cannot read %s",
                         conf_place_text(&page->file_place, place), path, page->file);
    s->file_count++;
    for (unsigned i = 0; i < page->status_count; i++)
        s->pages[s->page_count++] = (struct http_page){
            .status = page->statuses[i], .type = mime_type(mime, span_of(page->file)),
            .body = { f->bytes, f->size }
        };
    return 0;
}

static struct page_set *page_set_alloc(unsigned files, unsigned pages)
{
    struct page_set *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->files = calloc(files + 1, sizeof *s->files);
    s->pages = calloc(pages + 1, sizeof *s->pages);
    if (s->files != NULL && s->pages != NULL)
        return s;
    page_set_free(s);
    return NULL;
}

struct page_set *page_set_new(const struct conf_error_pages *c, const struct page_set *more, const struct mime *mime,
                              const char *path)
{
    unsigned more_count = more != NULL ? more->page_count : 0;
    struct page_set *s = page_set_alloc(c->count, statuses_count(c) + more_count);
    int failed = 0;

    if (s == NULL) {
        log_errno(LOG_ERROR, NULL, "%s: cannot hold its error pages", path);
        return NULL;
    }
    for (unsigned i = 0; i < c->count; i++)
        failed |= page_read(s, &c->v[i], mime, path);
    if (more_count > 0)
        memcpy(s->pages + s->page_count, more->pages, more_count * sizeof *s->pages);
    s->page_count += more_count;
    if (failed == 0)
        return s;
    page_set_free(s);
    return NULL;
}

void page_set_free(struct page_set *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < s->file_count; i++)
        text_file_free(&s->files[i]);
    free(s->files);
    free(s->pages);
    free(s);
}

struct http_pages page_set_all(const struct page_set *s)
{
    return (struct http_pages){ s->pages, s->page_count };
}
