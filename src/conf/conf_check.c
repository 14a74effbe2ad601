/* SPDX-License-Identifier: BSD-2-Clause */
/* What a string must be to be fit for its setting.  Each check complains itself; true: it is fit.
 * Control bytes and empty strings never come here. */
#include "conf/conf_inner.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/template.h"

enum { NAME_MAX_BYTES = 64 };       /* of services: they stand in each line of the log about them */

static bool only_bytes(const char *text, const char *allowed)
{
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr(allowed, *text) == NULL)
            return false;
    return true;
}

bool conf_check_model(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    char why[CONF_WHY_SIZE] = "";

    if (r->options->model_check == NULL || r->options->model_check(value, why, sizeof(why)))
        return true;
    conf_gripe(r, node, NULL, "\"%.60s\" cannot be used: %s", value, why);
    return false;
}

static bool check_with(struct conf_reader *r, conf_word_check *check, const config_setting_t *node,
                       const char *value)
{
    char why[CONF_WHY_SIZE] = "";

    if (check == NULL || check(value, why, sizeof(why)))
        return true;
    conf_gripe(r, node, NULL, "%s", why);
    return false;
}

static bool check_account(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    if (strpbrk(value, " :/,") == NULL)
        return true;
    conf_gripe(r, node, NULL, "\"%.60s\" cannot be the name of an account", value);
    return false;
}

bool conf_check_user(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    return check_account(r, node, value) && check_with(r, r->options->user_check, node, value);
}

bool conf_check_group(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    return check_account(r, node, value) && check_with(r, r->options->group_check, node, value);
}

bool conf_check_control(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (strcmp(value, "off") == 0 || (value[0] == '/' && strlen(value) <= max))
        return true;
    if (value[0] == '/')
        conf_gripe(r, node, NULL, "has %zu bytes; a Unix socket allows %zu", strlen(value), max);
    else
        conf_gripe(r, node, NULL, "\"%.60s\" must be \"off\" or an absolute path", value);
    return false;
}

bool conf_check_target(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    return check_with(r, r->options->target_check, node, value);
}

bool conf_check_readable_file(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    struct stat st;

    if (r->options->carried)
        return true;
    if (stat(value, &st) == -1 || (S_ISREG(st.st_mode) && faccessat(AT_FDCWD, value, R_OK, AT_EACCESS) == -1))
        conf_gripe(r, node, NULL, "\"%.200s\": %s", value, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        conf_gripe(r, node, NULL, "\"%.200s\" is not a regular file", value);
    else
        return true;
    return false;
}

bool conf_check_error_page(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    struct stat st;

    if (!conf_check_readable_file(r, node, value))
        return false;
    if (r->options->carried || (stat(value, &st) == 0 && st.st_size <= CONF_ERROR_PAGE_MAX))
        return true;
    conf_gripe(r, node, NULL, "\"%.200s\" is too large: an error page has at most %d bytes", value,
               CONF_ERROR_PAGE_MAX);
    return false;
}

bool conf_check_folder(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    struct stat st;

    if (r->options->carried)
        return true;
    if (stat(value, &st) == -1)
        conf_gripe(r, node, NULL, "\"%.200s\": %s", value, strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        conf_gripe(r, node, NULL, "\"%.200s\" is not a folder", value);
    else if (faccessat(AT_FDCWD, value, R_OK | X_OK, AT_EACCESS) == -1)
        conf_gripe(r, node, NULL, "\"%.200s\" cannot be read: %s", value, strerror(errno));
    else
        return true;
    return false;
}

static bool check_name(struct conf_reader *r, const config_setting_t *node, const char *value, unsigned max)
{
    if (only_bytes(value, "-_") && strlen(value) <= max)
        return true;
    conf_gripe(r, node, NULL, "\"%.60s\" must be made of letters, digits, '-' and '_', at most %u of them",
               value, max);
    return false;
}

bool conf_check_service_name(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    return check_name(r, node, value, NAME_MAX_BYTES);
}

bool conf_check_pool_name(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    return check_name(r, node, value, CONF_POOL_NAME_MAX);
}

bool conf_check_file_name(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    if (strchr(value, '/') == NULL && strcmp(value, ".") != 0 && strcmp(value, "..") != 0)
        return true;
    conf_gripe(r, node, NULL, "\"%.60s\" must be the name of a file, without a folder", value);
    return false;
}

bool conf_check_route_path(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    if (value[0] == '/')
        return true;
    conf_gripe(r, node, NULL, "\"%.60s\" must begin with '/'", value);
    return false;
}

/* Visible ASCII that may stand in a URL; the braces of ${name} are no part of it. */
static bool location_clean(const char *value)
{
    struct span text = { value, strlen(value) }, piece;
    enum template_kind kind;

    while ((kind = template_next(&text, &piece)) != TEMPLATE_END && kind != TEMPLATE_BAD)
        for (size_t i = 0; kind == TEMPLATE_TEXT && i < piece.n; i++)
            if ((unsigned char)piece.p[i] <= ' ' || (unsigned char)piece.p[i] > '~' ||
                strchr("\"<>\\^`{|}", piece.p[i]) != NULL)
                return false;
    return true;
}

bool conf_check_location(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    if (location_clean(value))
        return check_with(r, r->options->location_check, node, value);
    conf_gripe(r, node, NULL, "\"%.60s\" must be a path or a URL, with spaces and the like as %%20", value);
    return false;
}

/* type "/" subtype, and parameters, which are not looked at (RFC 9110 section 8.3.1). */
bool conf_check_media_type(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    static const char token[] =
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t type = strspn(value, token), subtype = value[type] == '/' ? strspn(value + type + 1, token) : 0;
    const char *rest = value + type + 1 + subtype;

    if (type > 0 && subtype > 0 && (*rest == '\0' || *rest == ';' || *rest == ' '))
        return true;
    conf_gripe(r, node, NULL, "\"%.60s\" must be a media type, such as \"text/html; charset=utf-8\"", value);
    return false;
}
