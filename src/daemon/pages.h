/* SPDX-License-Identifier: BSD-2-Clause */
/* Error pages: files of the configuration, read into memory, as HTTP wants them. */
#ifndef DAEMON_PAGES_H
#define DAEMON_PAGES_H

#include "conf/conf.h"
#include "proto/http.h"

struct page_set;

/* The pages of a service or route; behind them those of `more`, which may be NULL and must outlive it.  `path` says
 * whose they are, for the log.  NULL after logging every reason. */
struct page_set *page_set_new(const struct conf_error_pages *c, const struct page_set *more, const struct mime *mime,
                              const char *path);
void page_set_free(struct page_set *s);

struct http_pages page_set_all(const struct page_set *s);

#endif
