/* SPDX-License-Identifier: BSD-2-Clause */
/* Basic authentication: the file of users is read with the configuration, and each wrong line is told. */
#include "test_conf.h"

#include <unistd.h>

#define HTTP(routes) \
    "services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; routes = (\n" routes "\n); } );\n"
#define AT_AUTH "t.conf:2: services.[0].routes.[0].basic_auth"
#define BCRYPT "$2b$04$abcdefghijklmnopqrstuu12f.Pu8ic0A965BfTwGcW6x7Xin9Xgu"
#define SHA256 "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2"

#define FILE_TEMPLATE "/tmp/test_conf_auth.XXXXXX"

static char file[sizeof(FILE_TEMPLATE)];

static void auth_setup(void)
{
    int fd;

    strcpy(file, FILE_TEMPLATE);        /* one process may run all tests */
    fd = mkstemp(file);
    ck_assert_int_ne(fd, -1);
    close(fd);
}

static void auth_teardown(void)
{
    unlink(file);
}

static void write_file(const char *bytes, size_t n)
{
    FILE *to = fopen(file, "w");

    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(bytes, 1, n, to), n);
    fclose(to);
}

/* A route with the file, on whose place is "%s". */
static const char *configuration(const char *settings)
{
    static char text[1024];
    char route[512];

    snprintf(route, sizeof(route), settings, file);
    snprintf(text, sizeof(text), HTTP("{ path = \"/\"; status = 404; basic_auth : { %s }; }"), route);
    return text;
}

static struct reading users_of(const char *lines)
{
    write_file(lines, strlen(lines));
    return accepted(configuration("realm = \"R\"; file = \"%s\";"), NULL);
}

START_TEST(auth_reads_users_of_every_line_that_has_one)
{
    struct reading r = users_of("# who\n\nzoe:" BCRYPT "\r\n b j:" SHA256 ":a comment \n\xc3\xbc:ab.mruLNQ7ZWQ");
    const struct conf_auth *auth = &r.conf->services[0].routes[0].auth;

    ck_assert_str_eq(auth->realm, "R");
    ck_assert_str_eq(auth->file, file);
    ck_assert_uint_eq(auth->user_count, 3);
    ck_assert_str_eq(auth->users[0].name, " b j");
    ck_assert_str_eq(auth->users[0].hash, SHA256);
    ck_assert_str_eq(auth->users[1].name, "zoe");
    ck_assert_str_eq(auth->users[1].hash, BCRYPT);
    ck_assert_str_eq(auth->users[2].name, "\xc3\xbc");
    reading_end(&r);
}
END_TEST

static void refused_file(const char *lines, size_t n, const char *faults)
{
    char want[2048] = "", line[512];

    write_file(lines, n);
    while (*faults != '\0') {
        const char *end = strchr(faults, '\n');

        snprintf(line, sizeof(line), AT_AUTH ".file: \"%s\"%.*s\n", file, (int)(end - faults), faults);
        strcat(want, line);
        faults = end + 1;
    }
    refused(configuration("file = \"%s\";"), want);
}

#define REFUSED_FILE(lines, faults) refused_file(lines, sizeof(lines) - 1, faults)

START_TEST(auth_tells_every_line_that_is_wrong)
{
    REFUSED_FILE("a:" BCRYPT "\nbob\n#\ncarol:{SHA}x\ndave:$apr1$x$y\n:" BCRYPT "\neve:\n\x01:" BCRYPT "\nfay:plain\n",
                 ", line 2: must be USER:HASH, as htpasswd writes it\n"
                 ", line 4: user \"carol\" has a hash of a directory service ({...}), which is unsupported: make one with"
                 " htpasswd -B or mkpasswd\n"
                 ", line 5: user \"dave\" has a hash of Apache's own ($apr1$), which crypt(3) does not know: make one with"
                 " htpasswd -B or mkpasswd\n"
                 ", line 6: must have the name of a user, of at most 255 bytes and no control bytes, before its colon\n"
                 ", line 7: user \"eve\" has no hash\n"
                 ", line 8: must have the name of a user, of at most 255 bytes and no control bytes, before its colon\n"
                 ", line 9: user \"fay\" has something that is no hash of crypt(3): make one with htpasswd -B or"
                 " mkpasswd\n");
    REFUSED_FILE("a:" BCRYPT "\nb:" BCRYPT "\na:" SHA256 "\n", ": user \"a\" is there twice\n");
    REFUSED_FILE("", " has no user in it: nobody could come in\n");
    REFUSED_FILE("# nobody\n\n", " has no user in it: nobody could come in\n");
    REFUSED_FILE("a:" BCRYPT "\n\0b\n", " has a NUL in it: it is no text\n");
}
END_TEST

START_TEST(auth_bounds_the_file)
{
    enum { ROOM = (1 << 20) + 10 };
    char *many = malloc(ROOM);
    size_t n = 0;

    for (int i = 0; i < 10002; i++)
        n += (size_t)snprintf(many + n, ROOM - n, "u%d:ab.mruLNQ7ZWQ\n", i);
    refused_file(many, n, ", line 10001: is one user too many: 10000 are allowed\n");
    memset(many, '#', ROOM);
    refused_file(many, ROOM, ": is too long: a configuration has at most 1 MiB\n");
    free(many);
}
END_TEST

START_TEST(auth_wants_a_file)
{
    refused(configuration("realm = \"x\";"), AT_AUTH ".file: is missing; such as file = \"/etc/iomuxd.htpasswd\"\n");
    refused(configuration("file = \"/nonexistent\";"), AT_AUTH ".file: \"/nonexistent\": No such file or directory\n");
    refused(configuration("file = \"/\";"), AT_AUTH ".file: \"/\": is a folder, not a file\n");
    refused(configuration("file = \"/dev/null\"; realm = \"\";"),
            AT_AUTH ".file: \"/dev/null\": is not a regular file\n" AT_AUTH ".realm: must not be empty\n");
}
END_TEST

START_TEST(auth_prints_the_file_and_none_of_its_hashes)
{
    struct reading r = users_of("a:" BCRYPT "\n"), again;
    char *once = printed(r.conf), *twice, want[256];

    snprintf(want, sizeof(want), "basic_auth : {\n                    realm = \"R\";\n                    file = \"%s\";\n",
             file);
    ck_assert_ptr_nonnull(strstr(once, want));
    ck_assert_ptr_null(strstr(once, "$2b$"));
    again = accepted(once, NULL);
    twice = printed(again.conf);
    ck_assert_str_eq(once, twice);
    free(once);
    free(twice);
    reading_end(&r);
    reading_end(&again);
    r = accepted(HTTP("{ path = \"/\"; status = 404; }"), NULL);
    once = printed(r.conf);
    ck_assert_ptr_null(strstr(once, "basic_auth"));
    free(once);
    reading_end(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_auth");
    TCase *auth = tcase_create("auth");

    tcase_add_checked_fixture(auth, auth_setup, auth_teardown);
    tcase_add_test(auth, auth_reads_users_of_every_line_that_has_one);
    tcase_add_test(auth, auth_tells_every_line_that_is_wrong);
    tcase_add_test(auth, auth_bounds_the_file);
    tcase_add_test(auth, auth_wants_a_file);
    tcase_add_test(auth, auth_prints_the_file_and_none_of_its_hashes);
    suite_add_tcase(suite, auth);
    return suite_run(suite);
}
