/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters.  A thread counts in plain memory of its own and adds what it counted to its worker's slot of
 * the shared page once a turn, so that a counter costs nothing on the hot path, threads lose no count, and
 * a slot outlives its worker: counters never go backwards. */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stddef.h>
#include <stdint.h>

/* Every counter, declared once: name, what it counts. */
#define METRIC_COUNTERS(X)                                                          \
    X(accepted,        "connections accepted")                                     \
    X(closed,          "connections closed")                                       \
    X(refused,         "connections refused for want of descriptors or memory")    \
    X(refused_address, "connections refused: their address has as many as it may")  \
    X(refused_full,    "connections refused: the limit of connections is reached") \
    X(refused_proxy,   "connections closed: not from a proxy, or without its header") \
    X(gave_way,        "idle connections that gave way to new ones")               \
    X(requests,        "requests answered")                                        \
    X(responses_2xx,   "responses with a 2xx status")                              \
    X(responses_3xx,   "responses with a 3xx status")                              \
    X(responses_4xx,   "responses with a 4xx status")                              \
    X(responses_5xx,   "responses with a 5xx status")                              \
    X(requests_held,   "requests answered with 429: their address asks too often") \
    X(messages,        "messages received by services other than HTTP")            \
    X(datagrams,       "datagrams received")                                       \
    X(datagrams_sent,  "datagrams sent")                                           \
    X(datagrams_held,  "datagrams not answered: rate limit, or a port below 1024") \
    X(bytes_received,  "bytes received")                                           \
    X(bytes_sent,      "bytes sent")                                               \
    X(timeouts,        "connections ended by a deadline")                          \
    X(resets,          "connections ended by an error of the connection")          \
    X(wakeups,         "returns of the wait call")                                 \
    X(events,          "events that the wait call returned")                       \
    X(stale_events,    "events about a connection that was gone already")          \
    X(receives,        "receive calls or operations")                              \
    X(sends,           "send calls or operations")                                 \
    X(would_block,     "receive and send calls that found nothing to do")          \
    X(cold_reads,      "file ranges fetched by a helper because they were not cached") \
    X(log_dropped,     "log lines that could not be written")                      \
    X(access_dropped,  "access log lines that could not be written")

struct metric_counts {
#define METRIC_FIELD(name, help) uint64_t name;
    METRIC_COUNTERS(METRIC_FIELD)
#undef METRIC_FIELD
};

/* A worker's place in shared memory. */
struct metric_slot {
    _Alignas(64) struct metric_counts total;
    uint64_t progress;          /* turns of the loop: stands still when the worker does */
    uint64_t active;            /* connections open now */
    uint32_t sandbox;           /* what is enforced there, as the daemon writes it; 0: not said */
    uint64_t asked, answered;   /* the master's questions, and the latest that the loop has heard */
};

/* Adds the counts to the slot (atomically, counter by counter) and zeroes them.  Without a slot they stay. */
void metric_publish(struct metric_slot *slot, struct metric_counts *counts);

/* Adds up `count` slots into *sum. */
void metric_sum(const struct metric_slot *slots, size_t count, struct metric_slot *sum);

/* Shared zeroed memory for `count` slots that children inherit; NULL with errno.  Slots that are never touched take
 * no memory. */
struct metric_slot *metric_page_new(size_t count);
void metric_page_free(struct metric_slot *page, size_t count);

#endif
