/* SPDX-License-Identifier: BSD-2-Clause */
/* Passwords by crypt(3) of libxcrypt.  Hashes that it knows but others than it made ({SHA}, $apr1$) are told from
 * those that are no hashes. */
#include "base/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

enum {
    DES_LENGTH = 13, BSDI_LENGTH = 20,
    DIGEST_MIN = 20             /* characters behind the last '$': the shortest, of MD5, has 22 */
};

static bool starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* A setting without its digest is taken by crypt(3), and no password has it. */
static bool is_whole(const char *hash)
{
    if (hash[0] == '$')
        return strlen(strrchr(hash, '$') + 1) >= DIGEST_MIN;
    return strlen(hash) == (hash[0] == '_' ? BSDI_LENGTH : DES_LENGTH);
}

const char *password_fault(const char *hash)
{
    if (hash[0] == '\0')
        return "has no hash";
    if (starts(hash, "$apr1$"))
        return "has a hash of Apache's own ($apr1$), which crypt(3) does not know: make one with htpasswd -B or mkpasswd";
    if (hash[0] == '{')
        return "has a hash of a directory service ({...}), which is unsupported: make one with htpasswd -B or mkpasswd";
    if (strlen(hash) > PASSWORD_HASH_MAX || !is_whole(hash))
        return "has something that is no hash of crypt(3): make one with htpasswd -B or mkpasswd";
    switch (crypt_checksalt(hash)) {
    case CRYPT_SALT_OK: case CRYPT_SALT_METHOD_LEGACY: case CRYPT_SALT_TOO_CHEAP:
        return NULL;
    case CRYPT_SALT_METHOD_DISABLED:
        return "has a hash of a method that this system has switched off";
    default:
        return "has a hash that crypt(3) does not know here";
    }
}

/* Takes as long wherever they differ. */
static bool same_hash(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned different = 0;
    if (strlen(b) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        different |= (unsigned char)a[i] ^ (unsigned char)b[i];
    return different == 0;
}

bool password_matches(const char *password, const char *hash)
{
    struct crypt_data *data = calloc(1, sizeof *data);      /* 32 KiB: too much for some stacks */
    if (data == NULL)
        return false;
    const char *made = crypt_r(password, hash, data);
    bool same = made != NULL && made[0] != '*' && same_hash(hash, made);
    explicit_bzero(data, sizeof *data);
    free(data);
    return same;
}
