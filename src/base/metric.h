/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics.  A thread counts in plain memory of its own and adds what it counted to shared memory once a turn, so that
 * a counter costs nothing on the hot path, threads lose no count, and what was counted outlives the worker: counters
 * never go backwards.
 *
 * What is counted belongs to a part: each service of a worker has one, and the worker itself has one for the rest.
 * The sum of its parts is the worker's, and the sum of its workers is the pool's.  Everything that is counted is declared
 * here, once: the tables below make the structures, the sums, what iomuxctl and /metrics say and how they explain it;
 * tests hold iomuxd(8) against them. */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"

struct rusage;

/* Counters: name, whether a service has it or only a whole worker, name of the family in /metrics (iomuxd_FAMILY_total),
 * its label, what is counted.  Rows of one family stand together, and the text of the first is that of the family. */
#define METRIC_COUNTERS(X)                                                                                            \
    X(accepted,        SERVICE, "connections_accepted", "", "connections accepted")                                   \
    X(closed,          SERVICE, "connections_closed", "", "connections ended, also with their worker")                \
    X(passed_on,       SERVICE, "connections_passed_on", "", "connections that were passed to another worker")        \
    X(taken_over,      SERVICE, "connections_taken_over", "", "connections that were taken over from another worker") \
    X(refused,         SERVICE, "connections_refused", "cause=\"resources\"", "connections refused, by cause")        \
    X(refused_address, SERVICE, "connections_refused", "cause=\"address\"", "connections refused: their address has enough")\
    X(refused_full,    SERVICE, "connections_refused", "cause=\"full\"", "connections refused: all places are taken") \
    X(refused_proxy,   SERVICE, "connections_refused", "cause=\"proxy\"", "connections closed: no proxy, or no header")\
    X(gave_way,        SERVICE, "connections_gave_way", "", "idle connections that gave way to new ones")             \
    X(rested,          SERVICE, "connections_rested", "", "times that a connection became idle")                      \
    X(roused,          SERVICE, "connections_roused", "", "times that an idle connection had to do, or ended")        \
    X(requests,        SERVICE, "requests", "", "requests answered")                                                  \
    X(responses_2xx,   SERVICE, "responses", "class=\"2xx\"", "responses, by class of their status")                  \
    X(responses_3xx,   SERVICE, "responses", "class=\"3xx\"", "responses with a 3xx status")                          \
    X(responses_4xx,   SERVICE, "responses", "class=\"4xx\"", "responses with a 4xx status")                          \
    X(responses_5xx,   SERVICE, "responses", "class=\"5xx\"", "responses with a 5xx status")                          \
    X(requests_held,   SERVICE, "requests_held", "", "requests answered with 429: their address asks too often")      \
    X(messages,        SERVICE, "messages", "", "messages received by services other than HTTP")                      \
    X(datagrams,       SERVICE, "datagrams_received", "", "datagrams received")                                       \
    X(datagrams_sent,  SERVICE, "datagrams_sent", "", "datagrams sent")                                               \
    X(datagrams_held,  SERVICE, "datagrams_held", "", "datagrams not answered: rate limit, low port, or multicast")   \
    X(bytes_received,  SERVICE, "received_bytes", "", "bytes received")                                               \
    X(bytes_sent,      SERVICE, "sent_bytes", "", "bytes sent")                                                       \
    X(bytes_queued,    SERVICE, "queued_bytes", "", "bytes put into the output queues of connections")                \
    X(bytes_dropped,   SERVICE, "dropped_bytes", "", "bytes of these that were not sent before the end")              \
    X(timeouts,        SERVICE, "timeouts", "", "connections ended by a deadline")                                    \
    X(resets,          SERVICE, "resets", "", "connections ended by an error of the connection")                      \
    X(wakeups,         WORKER,  "wakeups", "", "returns of the wait call")                                            \
    X(events,          WORKER,  "events", "", "events that the wait call returned")                                   \
    X(stale_events,    WORKER,  "stale_events", "", "events about a connection that was gone already")                \
    X(receives,        SERVICE, "receives", "", "receive calls or operations")                                        \
    X(sends,           SERVICE, "sends", "", "send calls or operations")                                              \
    X(would_block,     SERVICE, "would_block", "", "receive and send calls that found nothing to do (EAGAIN)")        \
    X(syscalls,        WORKER,  "system_calls", "", "system calls to wait, accept, receive, send and choose")         \
    X(cold_reads,      SERVICE, "cold_reads", "", "file ranges fetched by a helper because they were not cached")     \
    X(log_dropped,     WORKER,  "log_dropped", "", "log lines that could not be written")                             \
    X(access_dropped,  WORKER,  "access_log_dropped", "", "access log lines that could not be written")

/* Times, as histograms of microseconds: name, name of the family in /metrics (iomuxd_FAMILY_seconds), what is measured.
 * Requests that are answered by one send, as pipelined ones are, count alike. */
#define METRIC_TIMES(X)                                                                                               \
    X(first_byte,      "first_byte", "time from the complete head of a request to the first byte of its answer")      \
    X(request,         "request", "time from the complete head of a request until all of its answer is sent")

/* What a process has used (getrusage(2)), a tenth of a second ago at most: name, family, label, scale (what makes the unit
 * of /metrics of it), what it is. */
#define METRIC_USES(X)                                                                                                \
    X(cpu_user_us,     "cpu_seconds", "mode=\"user\"", 1e-6, "processor time")                                        \
    X(cpu_system_us,   "cpu_seconds", "mode=\"system\"", 1e-6, "processor time in the kernel")                        \
    X(switches_own,    "context_switches", "kind=\"voluntary\"", 1, "context switches")                               \
    X(switches_forced, "context_switches", "kind=\"involuntary\"", 1, "context switches that the scheduler forced")

/* What is now, by service, as the master looks it up: name, name of the family in /metrics (iomuxd_FAMILY), what it is. */
#define METRIC_GAUGES(X)                                                                                              \
    X(accept_queue,    "accept_queue", "connections that wait to be accepted, but for those on Unix sockets")

enum metric_level { METRIC_OF_SERVICE, METRIC_OF_WORKER };

struct metric_counts {
#define METRIC_FIELD(name, ...) uint64_t name;
    METRIC_COUNTERS(METRIC_FIELD)
#undef METRIC_FIELD
};

struct metric_times {
#define METRIC_TIME(name, ...) struct histogram name;
    METRIC_TIMES(METRIC_TIME)
#undef METRIC_TIME
};

struct metric_usage {
#define METRIC_USE(name, ...) uint64_t name;
    METRIC_USES(METRIC_USE)
#undef METRIC_USE
};

struct metric_gauges {
#define METRIC_GAUGE(name, ...) uint64_t name;
    METRIC_GAUGES(METRIC_GAUGE)
#undef METRIC_GAUGE
};

/* What one service has done in one worker. */
struct metric_part {
    _Alignas(64) struct metric_counts total;
    struct metric_times times;
};

/* A worker's place in shared memory. */
struct metric_slot {
    _Alignas(64) struct metric_counts total;    /* what belongs to no service */
    struct metric_usage used, before;   /* by its processes; of these, by those before the one of now */
    uint64_t used_ms;           /* when that was looked at */
    uint64_t progress;          /* turns of the loop: stands still when the worker does */
    uint64_t active;            /* connections open now */
    uint32_t sandbox;           /* what is enforced there, as the daemon writes it; 0: not said */
    uint64_t asked, answered;   /* the master's questions, and the latest that the loop has heard */
};

/* Statistics can be left out (configure --disable-statistics), to measure what they cost. */
#ifdef WITHOUT_STATISTICS
enum { METRIC_IS_ON = 0 };
#else
enum { METRIC_IS_ON = 1 };
#endif

/* Adds the counts to a total and zeroes them.  `alone`: nobody else counts there at the same time.  NULL: they stay. */
void metric_publish(struct metric_counts *total, struct metric_counts *counts, bool alone);

/* `n` values of `us` each. */
void metric_time(struct histogram *h, uint64_t us, uint64_t n, bool alone);

/* *to += *from, which may go on counting. */
void metric_add(struct metric_counts *to, const struct metric_counts *from);
void metric_use_add(struct metric_usage *to, const struct metric_usage *from);

/* Connections that are idle, and bytes that wait to be sent: what is between counters. */
uint64_t metric_idle(const struct metric_counts *c);
uint64_t metric_waiting_bytes(const struct metric_counts *c);
uint64_t metric_open(const struct metric_counts *c);

/* Who counted here is gone: his connections have ended with him, and nothing waits to be sent. */
void metric_settle(struct metric_counts *c);

/* A process begins to count in this slot; looks what it has used, if it has not done so a moment before; its parent hears
 * it at the end (wait4(2)). */
void metric_use_begin(struct metric_slot *slot);
void metric_use_look(struct metric_slot *slot, uint64_t now_ms);
void metric_use_end(struct metric_slot *slot, const struct rusage *whole);

#endif
