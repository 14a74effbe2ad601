/* SPDX-License-Identifier: BSD-2-Clause */
/* Files: from a path to a file beneath a root, by the rules of its route: names that are hidden, index files,
 * candidates.  What is said about a file that was found is not known here. */
#include "proto/http_internal.h"

#include <errno.h>

#include "base/log.h"

/* Replies with a file that was found as `name` beneath the root. */
/* hot */
static inline void file_reply(struct http_exchange *x, const struct http_route *route, struct file *taken,
                              struct span name)
{
    struct http_content content = { .file = taken, .name = name, .coding = HTTP_CODINGS };
    if (route->coding_count > 0)
        http_encoding_choose(x, route, &content);
    http_content_reply(x, &content);
}

/* Which status tells a client of this error?  What leads out of the root is not there, for all it may
 * know. */
static unsigned status_of_error(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case ENXIO:
    case EINVAL:
    case EILSEQ:                /* no name can be written so on this file system */
    case ENAMETOOLONG:
        return 404;
    case EACCES:
    case EPERM:
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
        return 503;
    default:
        return 500;
    }
}

void http_file_failed(struct http_exchange *x, struct root *root, struct span name, int error)
{
    unsigned status = status_of_error(error);
    if (status == 500 && root_is_news(root, x->env->now_ms)) {
        struct log_about about = x->env->about;
        about.service = x->site->name;
        errno = error;
        log_errno(LOG_ERROR, &about, "%s: cannot open %.*s", x->site->name, (int)name.n, name.p);
    }
    http_reply_status(x, status);
}

/* Is it a name of a folder, which is one by its last byte? */
static bool name_is_folder(struct span name)
{
    return name.n == 0 || name.p[name.n - 1] == '/';
}

/* Is a segment hidden?  What the path of the route itself says is not: its owner wrote it. */
static bool name_hidden(const struct http_route *route, struct span name)
{
    struct span own = span_skip(route->path, 1);
    size_t skip = route->cut == 0 && span_starts_with(name, own) ? own.n : 0;
    bool begins = skip == 0 || name.p[skip - 1] == '/';
    name = span_skip(name, skip);
    return (begins && name.n > 0 && name.p[0] == '.') || http_path_hidden(name);
}

/* The first index file of a folder that is there, written to `joined`; NULL with errno. */
static struct file *index_find(struct http_exchange *x, const struct http_route *route, struct span folder,
                               char *joined, struct span *name)
{
    errno = ENOENT;
    for (unsigned i = 0; i < route->index_count; i++) {
        struct span index = route->index[i];
        if (folder.n + index.n > HTTP_NAME_MAX)
            continue;
        http_head_put(http_head_put(joined, folder), index);
        *name = (struct span){ joined, folder.n + index.n };
        struct file *f = file_get(x->env, route->root, *name);
        if (f != NULL || (errno != ENOENT && errno != EISDIR && errno != ENOTDIR))
            return f;
    }
    errno = ENOENT;
    return NULL;
}

/* EISDIR: it is there. */
static int folder_error(struct http_exchange *x, const struct http_route *route, struct span name)
{
    struct file *f;
    if (name.n <= 1)
        return EISDIR;
    f = file_get(x->env, route->root, (struct span){ name.p, name.n - 1 });
    if (f == NULL)
        return errno;
    file_unref(f);
    return ENOTDIR;
}

/* A folder none of whose index files is there: not to be listed, if it is one. */
static void folder_unlisted(struct http_exchange *x, const struct http_route *route, struct span name)
{
    int error = folder_error(x, route, name);
    if (error == EISDIR)
        http_reply_status(x, 403);
    else
        http_file_failed(x, route->root, name, error);
}

static void folder_answer(struct http_exchange *x, const struct http_route *route, struct span path,
                          struct span folder)
{
    char joined[HTTP_NAME_MAX];
    struct span name = folder;
    struct file *f = index_find(x, route, folder, joined, &name);
    if (f != NULL)
        file_reply(x, route, f, name);
    else if (errno != ENOENT)
        http_file_failed(x, route->root, name, errno);
    else if (route->autoindex != HTTP_AUTOINDEX_OFF)
        http_folder_list(x, route, path, folder);
    else
        folder_unlisted(x, route, folder);
}

/* ---- candidates ---- */

/* Is it the path itself, as a folder? */
static bool candidate_is_path(const struct http_candidate *c)
{
    return c->path && c->before.n == 0 && (c->after.n == 0 || span_equal(c->after, SPAN("/")));
}

/* A folder: true when it has an index file, or may be listed.  The path itself without its slash is sent there: relative
 * links would lead elsewhere. */
static bool candidate_folder(struct http_exchange *x, const struct http_route *route, struct span path,
                             const struct http_candidate *c, struct span folder)
{
    char joined[HTTP_NAME_MAX];
    struct span name = folder;
    struct file *f = index_find(x, route, folder, joined, &name);
    bool same = candidate_is_path(c);
    bool listed = f == NULL && errno == ENOENT && same && route->autoindex != HTTP_AUTOINDEX_OFF &&
                  folder_error(x, route, folder) == EISDIR;
    if (f == NULL && !listed) {
        if (status_of_error(errno) == 404)
            return false;
        http_file_failed(x, route->root, name, errno);
    } else if (same && path.p[path.n - 1] != '/') {
        file_unref(f);
        http_reply_moved(x, path);
    } else if (listed) {
        http_folder_list(x, route, path, folder);
    } else {
        file_reply(x, route, f, name);
    }
    return true;
}

static bool candidate_file(struct http_exchange *x, const struct http_route *route, struct span name)
{
    struct file *f = file_get(x->env, route->root, name);
    if (f != NULL) {
        file_reply(x, route, f, name);
        return true;
    }
    if (errno == EISDIR || status_of_error(errno) == 404)
        return false;
    http_file_failed(x, route->root, name, errno);
    return true;
}

/* Each candidate is looked for once, and none leads to others: there is no loop. */
static void candidates_answer(struct http_exchange *x, const struct http_route *route, struct span path,
                              struct span name)
{
    char joined[HTTP_NAME_MAX];
    for (unsigned i = 0; i < route->try_count; i++) {
        const struct http_candidate *c = &route->try[i];
        struct span at = http_candidate_name(c, name, joined);
        if (at.p == NULL || (!route->dotfiles && name_hidden(route, at)))
            continue;
        if (name_is_folder(at) ? candidate_folder(x, route, path, c, at) : candidate_file(x, route, at))
            return;
    }
    http_reply_status(x, route->try_status);
}

/* ---- */

/* The name beneath the root. */
/* hot */
static inline struct span name_beneath(const struct http_route *route, struct span path)
{
    struct span name = span_skip(path, route->cut);
    return name.n > 0 && name.p[0] == '/' ? span_skip(name, 1) : name;
}

bool http_file_hides(const struct http_route *route, struct span path)
{
    return !route->dotfiles && name_hidden(route, name_beneath(route, path));
}

/* hot */
void http_file_answer(struct http_exchange *x, const struct http_route *route, struct span path)
{
    struct span name = name_beneath(route, path);
    if (x->hidden && http_file_hides(route, path)) {
        http_reply_status(x, 404);
        return;
    }
    if (name.n == 0 && path.p[path.n - 1] != '/') {
        http_reply_moved(x, path);      /* the folder of an alias itself */
        return;
    }
    if (route->try_count > 0) {
        candidates_answer(x, route, path, name);
        return;
    }
    if (name_is_folder(name)) {
        folder_answer(x, route, path, name);
        return;
    }
    struct file *f = file_get(x->env, route->root, name);
    if (f != NULL)
        file_reply(x, route, f, name);
    else if (errno == EISDIR)
        http_reply_moved(x, path);
    else
        http_file_failed(x, route->root, name, errno);
}
