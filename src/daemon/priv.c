/* SPDX-License-Identifier: BSD-2-Clause */
/* Who the workers are, when the daemon is started as root.  Owns nothing; the accounts are looked up once,
 * in the master. */
#include "daemon/priv.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

/* Without `user` the first of these that there is. */
static const char *const default_users[] = { "iomuxd", "nobody" };

static void priv_take_user(struct priv *p, const struct passwd *user)
{
    snprintf(p->user, sizeof p->user, "%s", user->pw_name);
    p->uid = user->pw_uid;
    p->gid = user->pw_gid;
}

static bool priv_find_user(struct priv *p, const struct conf *c, FILE *complaints)
{
    const struct passwd *user = NULL;

    p->chosen = c->user != NULL;
    if (p->chosen)
        user = getpwnam(c->user);
    for (size_t i = 0; !p->chosen && user == NULL && i < sizeof default_users / sizeof *default_users; i++)
        user = getpwnam(default_users[i]);
    if (user != NULL)
        priv_take_user(p, user);
    else if (p->chosen)
        conf_complain(complaints, &c->user_place, "user", "there is no user \"%s\"", c->user);
    else
        conf_complain(complaints, &c->user_place, "user", "not set, and there is neither iomuxd nor nobody");
    return user != NULL;
}

/* Without `group` it is the user's own. */
static bool priv_find_group(struct priv *p, const struct conf *c, FILE *complaints)
{
    const struct group *group = c->group != NULL ? getgrnam(c->group) : getgrgid(p->gid);

    if (group == NULL && c->group != NULL) {
        conf_complain(complaints, &c->group_place, "group", "there is no group \"%s\"", c->group);
        return false;
    }
    if (group != NULL) {
        p->gid = group->gr_gid;
        snprintf(p->group, sizeof p->group, "%s", group->gr_name);
    } else {
        snprintf(p->group, sizeof p->group, "%ju", (uintmax_t)p->gid);
    }
    return true;
}

bool priv_resolve(struct priv *p, const struct conf *c, FILE *complaints)
{
    bool user, group;

    *p = (struct priv){ .drop = geteuid() == 0 };
    if (!p->drop)
        return true;
    user = priv_find_user(p, c, complaints);
    group = priv_find_group(p, c, complaints);
    return user && group;
}

int priv_drop(const struct priv *p)
{
    if (!p->drop)
        return 0;
    if (initgroups(p->user, p->gid) == -1 || setresgid(p->gid, p->gid, p->gid) == -1 ||
        setresuid(p->uid, p->uid, p->uid) == -1)
        return -1;
    if (p->uid != 0 && (setuid(0) != -1 || seteuid(0) != -1)) {     /* the way back must be closed */
        errno = EPERM;
        return -1;
    }
    return 0;
}
