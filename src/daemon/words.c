/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of texts with variables, in the words of the configuration's complaints. */
#include "daemon/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/template.h"
#include "conf/conf.h"
#include "core/access_line.h"
#include "proto/http.h"

enum { NAME_SHOWN = 60 };       /* bytes of a wrong name in a complaint */

static bool say_bad(struct span piece, char *why, size_t why_size)
{
    snprintf(why, why_size, "\"%.*s\" begins no name: write $name or ${name}, and $$ for a dollar",
             (int)(piece.n < NAME_SHOWN ? piece.n : NAME_SHOWN), piece.p);
    return false;
}

/* "there is no $x, only $a, $b and $c; did you mean 'a'?" */
static bool say_unknown(struct span name, const char *const *names, char *why, size_t why_size)
{
    char word[NAME_SHOWN + 1];
    struct conf_near near = { .word = word };
    size_t n = name.n < NAME_SHOWN ? name.n : NAME_SHOWN;

    memcpy(word, name.p, n);
    word[n] = '\0';
    n = (size_t)snprintf(why, why_size, "there is no $%s, only", word);
    for (int i = 0; names[i] != NULL && n < why_size; i++) {
        const char *between = i == 0 ? "" : names[i + 1] == NULL ? " and" : ",";

        n += (size_t)snprintf(why + n, why_size - n, "%s $%s", between, names[i]);
        conf_near_try(&near, names[i]);
    }
    if (n < why_size)
        conf_near_text(&near, why + n, why_size - n);
    return false;
}

static bool check_names(const char *text, const char *const *names, char *why, size_t why_size)
{
    struct span piece;
    enum template_kind kind;

    if (!template_fault(span_of(text), names, &piece, &kind))
        return true;
    if (kind == TEMPLATE_BAD)
        return say_bad(piece, why, why_size);
    return say_unknown(piece, names, why, why_size);
}

bool words_check_format(const char *text, char *why, size_t why_size)
{
    struct access_form *form;

    if (!check_names(text, access_field_names, why, why_size))
        return false;
    form = access_form_new(text);
    if (form == NULL && errno == EMSGSIZE)
        snprintf(why, why_size, "has too many fields: lines could be longer than %d bytes", ACCESS_LINE_MAX);
    else if (form == NULL)
        snprintf(why, why_size, "%s", strerror(errno));
    access_form_free(form);
    return form != NULL;
}

bool words_check_location(const char *text, char *why, size_t why_size)
{
    const char *fault;

    if (!check_names(text, http_location_names, why, why_size))
        return false;
    fault = http_location_fault(span_of(text));
    if (fault != NULL)
        snprintf(why, why_size, "\"%.*s\" %s", NAME_SHOWN, text, fault);
    return fault == NULL;
}
