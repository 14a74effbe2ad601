/* SPDX-License-Identifier: BSD-2-Clause */
/* Built without libxcrypt: no password can be checked, and the configuration says so. */
#include "base/password.h"

const char *password_fault(const char *hash)
{
    (void)hash;
    return "cannot be checked: iomuxd was built without libxcrypt";
}

bool password_matches(const char *password, const char *hash)
{
    (void)password;
    (void)hash;
    return false;
}
