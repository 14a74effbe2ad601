/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets that the service manager opened and handed over at the start (sd_listen_fds(3)), by their names.  They stay
 * open here for as long as the process lives, so that a later configuration may use what this one does not. */
#ifndef DAEMON_HANDED_H
#define DAEMON_HANDED_H

#include <stdbool.h>
#include <stddef.h>

enum {
    HANDED_FIRST = 3,           /* the descriptor of the first one */
    HANDED_NAME_SIZE = 256      /* of FileDescriptorName=, with a NUL */
};

struct handed_one {
    int  fd;
    bool datagram, stream;      /* neither: it is of no use here */
    char name[HANDED_NAME_SIZE];
};

struct handed {
    struct handed_one *v;
    unsigned           count;
};

/* What the environment says was handed over to this process.  The descriptors are taken over as `handed`, closed on
 * exec and non-blocking, and the environment is cleared of them.  False, with the reason in `why`: what it says cannot
 * be right, or memory is short. */
bool handed_take(struct handed *h, char *why, size_t why_size);

/* What the environment says, each may be NULL; and who is asking. */
struct handed_words {
    const char *pid, *count, *names;
    long        self;
};

/* The same from these words, without looking at the descriptors. */
bool handed_parse(struct handed *h, const struct handed_words *w, char *why, size_t why_size);

/* Closes all: in a worker, which has what it needs of them elsewhere. */
void handed_close(struct handed *h);

/* The i-th socket of this name and kind, or NULL. */
const struct handed_one *handed_find(const struct handed *h, const char *name, bool datagram, unsigned i);

/* "web, echo (datagrams)", or "none"; returns `to`. */
const char *handed_names(const struct handed *h, char *to, size_t size);

#endif
