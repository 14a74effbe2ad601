/* SPDX-License-Identifier: BSD-2-Clause */
/* What clients of the control socket may ask for, and who may.
 *
 * A request is one line, a JSON object: {"command": "status"}.  The answer is one line too, an object with "ok", and
 * when that is false with "errors", a list of texts.  Whoever can open the socket may look; only root and the user that
 * the master runs as may change anything: the group of the socket is also that of the workers. */
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

#include "daemon/control.h"

/* For control_serve; arg is the struct master. */
void command_obey(void *arg, struct control_client *c, struct span line);

/* For crew_word and survey_desk; arg is the struct master. */
struct channel_message;
struct survey;
struct worker_slot;
void command_hear(void *arg, const struct worker_slot *who, const struct channel_message *m);
void command_surveyed(void *arg, struct survey *s);

#endif
