/* SPDX-License-Identifier: BSD-2-Clause */
/* "did you mean": the edit distance between two words, counting a swap of neighbours as one step
 * (Damerau-Levenshtein, optimal string alignment).  Capital and small letters are the same here. */
#include "conf/conf_inner.h"

#include <ctype.h>
#include <string.h>

enum { WORD_MAX = 32 };     /* longer than any key: beyond it nothing is near */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Three rows are enough: this one, the one before, and the one before that for swaps. */
static unsigned edit_distance(const char *a, size_t an, const char *b, size_t bn)
{
    unsigned rows[3][WORD_MAX + 1];

    for (unsigned j = 0; j <= bn; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= an; i++) {
        unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3];
        const unsigned *older = rows[(i + 1) % 3];

        now[0] = i;
        for (unsigned j = 1; j <= bn; j++) {
            now[j] = least(last[j] + 1, now[j - 1] + 1);
            now[j] = least(now[j], last[j - 1] + !same_letter(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]))
                now[j] = least(now[j], older[j - 2] + 1);
        }
    }
    return rows[an % 3][bn];
}

/* One wrong letter in three may be a slip, more is another word. */
static unsigned distance_allowed(size_t length)
{
    return length < 3 ? 1 : least((unsigned)length / 3, 3);
}

void conf_near_try(struct conf_near *n, const char *candidate)
{
    size_t word_n = strlen(n->word), candidate_n = strlen(candidate);
    unsigned distance;

    if (word_n == 0 || word_n > WORD_MAX || candidate_n > WORD_MAX)
        return;
    distance = edit_distance(n->word, word_n, candidate, candidate_n);
    if (distance > distance_allowed(candidate_n) || distance >= candidate_n)
        return;
    if (n->best == NULL || distance < n->distance) {
        n->best = candidate;
        n->distance = distance;
    }
}

const char *conf_near_text(const struct conf_near *n, char *to, size_t size)
{
    to[0] = '\0';
    if (n->best != NULL)
        snprintf(to, size, "; did you mean '%s'?", n->best);
    return to;
}
