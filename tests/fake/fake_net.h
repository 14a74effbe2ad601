/* SPDX-License-Identifier: BSD-2-Clause */
/* The peers' ends of real sockets, for tests.  Unix sockets deliver before a call returns, so that a
 * script can say "now it is there"; over TCP a test waits.  Everything fails the test when it cannot. */
#ifndef TESTS_FAKE_NET_H
#define TESTS_FAKE_NET_H

#include <stdbool.h>
#include <stddef.h>

/* A non-blocking listener with an address that the kernel chose. */
int net_listen_unix(void);
int net_listen_packets(void);       /* Unix, SOCK_SEQPACKET: each send is one receive, however short */
int net_listen_tcp(void);           /* 127.0.0.1 */

/* A client of such a listener; blocking. */
int net_connect(int listener_fd);

void net_send(int fd, const char *text);
void net_send_bytes(int fd, const char *bytes, size_t n);
void net_shut(int fd);

/* Waits for exactly this text. */
void net_expect(int fd, const char *text);

/* These n bytes are fake_proto's "big", from its place `at` on. */
void net_check_big(const char *bytes, size_t at, size_t n);

/* Waits for n bytes of it. */
void net_expect_big(int fd, size_t at, size_t n);

/* Waits until the peer shut down or closed, and nothing was there before. */
void net_expect_end(int fd);

/* Nothing is there, now. */
void net_expect_quiet(int fd);

/* What is there now, at most n bytes; 0: nothing, or the end. */
size_t net_take(int fd, char *to, size_t n);

/* Waits for poll(2) events. */
void net_wait(int fd, short events);
bool net_ready(int fd, short events);

unsigned net_descriptors(void);     /* open in this process */

#endif
