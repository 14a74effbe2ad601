/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes, asked of the kernel once for a key, and a keyed hash for all that is made of it. */
#include "base/random.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], unsigned n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32) + v[3];
        v[2] += v[1];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

/* At most 8 bytes, the first of them the lowest. */
static uint64_t little_endian(const unsigned char *p, size_t n)
{
    uint64_t word = 0;
    while (n-- > 0)
        word = word << 8 | p[n];
    return word;
}

uint64_t random_hash(const uint64_t key[2], const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t last = (uint64_t)n << 56;
    uint64_t v[4] = { key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                      key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u };
    for (; n >= 8; n -= 8, p += 8)
        sip_word(v, little_endian(p, 8));
    sip_word(v, last | little_endian(p, n));
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Not secret from who is on this machine, but from everybody else. */
static void random_make(unsigned char *to, size_t n)
{
    uint64_t seed[3] = { clock_monotonic_us(), (uint64_t)clock_wall_s(), (uintptr_t)&seed };
    uint64_t key[2] = { (uintptr_t)to, (uintptr_t)random_make };
    for (size_t i = 0; i < n; i++) {
        seed[2] += i;
        to[i] = (unsigned char)random_hash(key, seed, sizeof seed);
    }
}

void random_fill(void *to, size_t n)
{
    if (getrandom(to, n, GRND_NONBLOCK) != (ssize_t)n)
        random_make(to, n);
}
