/* SPDX-License-Identifier: BSD-2-Clause */
/* Composition of what holds on a route whatever it answers with: from the settings of the route and, where it says
 * nothing, of its service. */
#ifndef DAEMON_RULES_H
#define DAEMON_RULES_H

#include "conf/conf.h"
#include "proto/http.h"

/* Fills these members of the specification; -1 with errno. */
int rules_fill(struct http_route_spec *spec, const struct conf_service *service, const struct conf_route *route);

/* Frees what rules_fill made. */
void rules_release(struct http_route_spec *spec);

#endif
