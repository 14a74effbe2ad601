/* SPDX-License-Identifier: BSD-2-Clause */
/* Composition: from the configuration of services to what connections run on. */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include "conf/conf.h"
#include "core/conn.h"

/* The protocol of a configured service. */
const struct proto *service_proto(enum conf_protocol protocol);

/* All services of a configuration, in its order, with everything that they need: roots are opened, the
 * table of media types is read.  The configuration must outlive the set.  NULL after logging every reason. */
struct service_set;
struct service_set *service_set_new(const struct conf *c);

/* The service with this place in the configuration; constant while the set lives. */
const struct service *service_at(const struct service_set *s, unsigned index);

/* No connection and no file reference of these services may be left. */
void service_set_free(struct service_set *s);

#endif
