/* SPDX-License-Identifier: BSD-2-Clause */
/* The answers to iomuxctl, as JSON objects; each is a new reference, NULL when memory is short. */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include <jansson.h>

#include "daemon/master_state.h"

json_t *status_whole(const struct master *m);
json_t *status_models(void);
json_t *status_version(void);

/* How a reload went. */
json_t *status_reload(const struct reload_result *r);

/* All that a survey brought, sorted and limited. */
json_t *status_connections(const struct survey *s);

/* {"ok": false, "errors": [...]}: the lines of a text. */
json_t *status_errors(const char *lines);

#endif
