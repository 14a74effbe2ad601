/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of base/password.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/password.h"

static const struct { const char *password, *hash; } made[] = {
    { "secret", "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2" },
    { "other", "$6$rounds=1000$pepper$xsOrj/CBY7MgmnRnSkJjbsrGwsMyFJFF48UW7P9yEiuQClOJ7Avfh1ShdHkPgbzbo5dpkWj4g6zqAaXl7iLfG0" },
    { "p:w d\xc3\xbc", "$1$abcdefgh$Abj3MQ9GTohjsHn6M1Vr5/" },
    { "des", "ab.mruLNQ7ZWQ" },
    { "y", "$y$j75$abcdefgh$sIElN0ugcYXz0hZEjFHQfthuAyj4x63FyfzseagM7hB" },
    { "b", "$2b$04$abcdefghijklmnopqrstuu12f.Pu8ic0A965BfTwGcW6x7Xin9Xgu" },
};

START_TEST(password_matches_its_own_hash_only)
{
    char near[128];
    ck_assert_ptr_null(password_fault(made[_i].hash));
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        ck_assert_int_eq(password_matches(made[i].password, made[_i].hash), (int)i == _i);
    ck_assert(!password_matches("", made[_i].hash));
    strcpy(near, made[_i].hash);
    near[strlen(near) - 1] ^= 1;        /* another digest for the same salt */
    ck_assert(!password_matches(made[_i].password, near));
    near[strlen(near) - 1] = '\0';
    ck_assert(!password_matches(made[_i].password, near));
}
END_TEST

static const struct { const char *hash, *fault; } faults[] = {
    { "", "has no hash" },
    { "$apr1$abcdefgh$Abj3MQ9GTohjsHn6M1Vr5/",
      "has a hash of Apache's own ($apr1$), which crypt(3) does not know: make one with htpasswd -B or mkpasswd" },
    { "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
      "has a hash of a directory service ({...}), which is unsupported: make one with htpasswd -B or mkpasswd" },
    { "secret", "has something that is no hash of crypt(3): make one with htpasswd -B or mkpasswd" },
    { "$5$saltsalt", "has something that is no hash of crypt(3): make one with htpasswd -B or mkpasswd" },
    { "$6$saltsalt$", "has something that is no hash of crypt(3): make one with htpasswd -B or mkpasswd" },
    { "!", "has something that is no hash of crypt(3): make one with htpasswd -B or mkpasswd" },
    { "$nosuch$abcdefgh$abcdefghijklmnopqrstuvwx", "has a hash that crypt(3) does not know here" },
    { "*3456789012,!", "has a hash that crypt(3) does not know here" },
};

START_TEST(password_says_what_is_wrong_with_a_hash)
{
    const char *fault = password_fault(faults[_i].hash);
    ck_assert_ptr_nonnull(fault);
    ck_assert_str_eq(fault, faults[_i].fault);
    ck_assert(!password_matches("secret", faults[_i].hash));
}
END_TEST

START_TEST(password_of_any_length_is_no_trouble)
{
    char *text = calloc(1, 5001);
    memset(text, 'a', 5000);
    ck_assert(!password_matches(text, made[0].hash));
    ck_assert_ptr_nonnull(password_fault(text));
    text[0] = '$';
    ck_assert_ptr_nonnull(password_fault(text));
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("password");
    TCase *t = tcase_create("password");
    tcase_add_loop_test(t, password_matches_its_own_hash_only, 0, sizeof made / sizeof made[0]);
    tcase_add_loop_test(t, password_says_what_is_wrong_with_a_hash, 0, sizeof faults / sizeof faults[0]);
    tcase_add_test(t, password_of_any_length_is_no_trouble);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
