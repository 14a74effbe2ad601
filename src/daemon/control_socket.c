/* SPDX-License-Identifier: BSD-2-Clause */
/* Making the control socket.  Knows files and sockets, nothing of what is said there. */
#include "daemon/control_socket.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONTROL_BACKLOG = 64,
    CONTROL_FOLDER_MODE = 0755
};

int control_default_path(char path[CONTROL_PATH_SIZE])
{
    const char *made = getenv("RUNTIME_DIRECTORY"), *own = getenv("XDG_RUNTIME_DIR");
    int n;

    if (made != NULL && made[0] == '/')
        n = snprintf(path, CONTROL_PATH_SIZE, "%.*s/control.sock", (int)strcspn(made, ":"), made);
    else if (geteuid() == 0)
        n = snprintf(path, CONTROL_PATH_SIZE, "/run/iomuxd/control.sock");
    else if (own != NULL && own[0] == '/')
        n = snprintf(path, CONTROL_PATH_SIZE, "%s/iomuxd/control.sock", own);
    else
        return -1;
    return n < CONTROL_PATH_SIZE ? 0 : -1;
}

static void why_errno(char *why, size_t why_size, const char *path)
{
    snprintf(why, why_size, "%s: %s", path, strerror(errno));
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    return un;
}

/* The folder must not be there to be made; what else is wrong shows when the socket is made. */
static void make_folder(const char *path)
{
    char copy[CONTROL_PATH_SIZE];
    mode_t before = umask(0);

    snprintf(copy, sizeof copy, "%s", path);
    (void)mkdir(dirname(copy), CONTROL_FOLDER_MODE);
    umask(before);
}

/* Who listens there?  0: nobody. */
static pid_t listener_of(int fd)
{
    struct ucred who = { .pid = 0 };
    socklen_t size = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 ? who.pid : 0;
}

/* Is the way free, perhaps after removing what nobody listens on? */
static bool clear_way(const char *path, char *why, size_t why_size)
{
    struct sockaddr_un un = address_of(path);
    struct stat st;
    int fd, rc;

    if (lstat(path, &st) == -1)
        return true;
    if (!S_ISSOCK(st.st_mode)) {
        snprintf(why, why_size, "%s: is there, and no socket", path);
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) {
        why_errno(why, why_size, path);
        return false;
    }
    rc = connect(fd, (struct sockaddr *)&un, sizeof un);
    if (rc == -1 && errno == ECONNREFUSED)
        rc = unlink(path);
    else if (rc == 0 || errno == EAGAIN)
        rc = 1;
    if (rc == 1)
        snprintf(why, why_size, "%s: another iomuxd (pid %d) answers there", path, (int)listener_of(fd));
    else if (rc == -1)
        why_errno(why, why_size, path);
    close(fd);
    return rc == 0;
}

/* The mode comes from the umask alone: it is never open to more than it should be. */
static int bind_with_umask(int fd, const char *path)
{
    struct sockaddr_un un = address_of(path);
    mode_t before = umask(0777 & ~CONTROL_MODE);
    int rc = bind(fd, (struct sockaddr *)&un, sizeof un);

    umask(before);
    return rc;
}

/* Who may not give it to the group keeps it in its own. */
static void give_to_group(const char *path)
{
    const struct group *group = getgrnam(CONTROL_GROUP);

    if (group != NULL)
        (void)!lchown(path, (uid_t)-1, group->gr_gid);
}

int control_socket_open(struct control_socket *s, const char *path, char *why, size_t why_size)
{
    struct stat st = { 0 };

    *s = (struct control_socket){ .fd = -1 };
    snprintf(s->path, sizeof s->path, "%s", path);
    make_folder(path);
    if (!clear_way(path, why, why_size))
        return -1;
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd == -1 || bind_with_umask(s->fd, path) == -1) {
        why_errno(why, why_size, path);
        goto fail;
    }
    if (lstat(path, &st) == 0) {
        s->device = st.st_dev;
        s->inode = st.st_ino;
    }
    give_to_group(path);
    if (listen(s->fd, CONTROL_BACKLOG) == 0)
        return 0;
    why_errno(why, why_size, path);
fail:
    control_socket_close(s);
    return -1;
}

void control_socket_close(struct control_socket *s)
{
    struct stat st;

    if (s->inode != 0 && lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
        unlink(s->path);
    if (s->fd != -1)
        close(s->fd);
    *s = (struct control_socket){ .fd = -1 };
}
