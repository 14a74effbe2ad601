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

enum { WHY_SIZE = 256 };

/* NULL: the reason is in `why`. */
static const struct passwd *find_user(const char *name, char *why, size_t why_size)
{
    const struct passwd *user = name == NULL ? NULL : getpwnam(name);

    for (size_t i = 0; name == NULL && user == NULL && i < sizeof default_users / sizeof *default_users; i++)
        user = getpwnam(default_users[i]);
    if (user != NULL && strlen(user->pw_name) < sizeof(((struct priv *)NULL)->user))
        return user;
    if (user != NULL)
        snprintf(why, why_size, "\"%.60s...\" is too long for the name of an account", user->pw_name);
    else if (name != NULL)
        snprintf(why, why_size, "there is no user \"%.60s\"", name);
    else
        snprintf(why, why_size, "there is neither %s nor %s", default_users[0], default_users[1]);
    return NULL;
}

static const struct group *find_group(const char *name, char *why, size_t why_size)
{
    const struct group *group = getgrnam(name);

    if (group == NULL)
        snprintf(why, why_size, "there is no group \"%.60s\"", name);
    return group;
}

bool priv_check_user(const char *user, char *why, size_t why_size)
{
    return geteuid() != 0 || find_user(user, why, why_size) != NULL;
}

bool priv_check_group(const char *group, char *why, size_t why_size)
{
    return geteuid() != 0 || find_group(group, why, why_size) != NULL;
}

static bool priv_take_user(struct priv *p, const struct conf *c, FILE *complaints)
{
    char why[WHY_SIZE] = "";
    const struct passwd *user = find_user(c->user, why, sizeof why);

    p->chosen = c->user != NULL;
    if (user == NULL) {
        conf_complain(complaints, &c->user_place, "user", "%s", why);
        return false;
    }
    snprintf(p->user, sizeof p->user, "%s", user->pw_name);
    p->uid = user->pw_uid;
    p->gid = user->pw_gid;
    return true;
}

/* Without `group` it is the user's own. */
static bool priv_take_group(struct priv *p, const struct conf *c, FILE *complaints)
{
    char why[WHY_SIZE] = "";
    const struct group *group = c->group == NULL ? getgrgid(p->gid) : find_group(c->group, why, sizeof why);

    if (group == NULL && c->group != NULL) {
        conf_complain(complaints, &c->group_place, "group", "%s", why);
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
    *p = (struct priv){ .drop = geteuid() == 0 };
    return !p->drop || (priv_take_user(p, c, complaints) && priv_take_group(p, c, complaints));
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
