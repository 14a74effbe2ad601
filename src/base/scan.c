/* SPDX-License-Identifier: BSD-2-Clause */
/* Searches, 16 bytes at a time with the compiler's own vectors: no instruction set is named, every machine
 * gets what it has.  Loads go through memcpy, so alignment does not matter, and none reaches to `end`. */
#include "base/scan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16 };

typedef unsigned char lanes __attribute__((vector_size(LANES)));

#define EACH(byte) ((lanes){ (byte), (byte), (byte), (byte), (byte), (byte), (byte), (byte), \
                             (byte), (byte), (byte), (byte), (byte), (byte), (byte), (byte) })

static inline lanes lanes_at(const char *p)
{
    lanes v;
    memcpy(&v, p, LANES);
    return v;
}

/* Which lane of this half is the first that is not zero? */
static inline size_t first_lane(uint64_t half)
{
    int bits = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_ctzll(half) : __builtin_clzll(half);
    return (size_t)bits / 8;
}

/* The first lane that is not zero, LANES when all are. */
static inline size_t lanes_first(lanes hits)
{
    uint64_t half[2];
    memcpy(half, &hits, sizeof half);
    if ((half[0] | half[1]) == 0)
        return LANES;
    return half[0] != 0 ? first_lane(half[0]) : 8 + first_lane(half[1]);
}

static inline lanes control_lanes(lanes v)
{
    return (lanes)(((v < EACH(0x20)) & (v != EACH('\t'))) | (v == EACH(0x7f)));
}

static inline lanes target_end_lanes(lanes v)
{
    return (lanes)((v <= EACH(0x20)) | (v == EACH(0x7f)));
}

static inline bool is_control(unsigned char b)
{
    return (b < 0x20 && b != '\t') || b == 0x7f;
}

static inline bool is_target_end(unsigned char b)
{
    return b <= 0x20 || b == 0x7f;
}

/* hot.  What is left behind the last full 16 bytes is looked at byte by byte: a caller's `end` is the end of
 * what came from the network, mostly far behind the byte that is found. */
const char *scan_control(const char *p, const char *end)
{
    for (; end - p >= LANES; p += LANES) {
        size_t at = lanes_first(control_lanes(lanes_at(p)));
        if (at < LANES)
            return p + at;
    }
    while (p < end && !is_control((unsigned char)*p))
        p++;
    return p;
}

/* hot */
const char *scan_target_end(const char *p, const char *end)
{
    for (; end - p >= LANES; p += LANES) {
        size_t at = lanes_first(target_end_lanes(lanes_at(p)));
        if (at < LANES)
            return p + at;
    }
    while (p < end && !is_target_end((unsigned char)*p))
        p++;
    return p;
}
