/* SPDX-License-Identifier: BSD-2-Clause */
/* The program by its path: finding it, asking it, becoming it.  Knows processes and descriptors; what the state is that
 * is handed from one to the other is state.h's affair. */
#include "daemon/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/overrides.h"
#include "daemon/signals.h"

enum { NOT_STARTED = 127 };             /* as a shell has it: the program could not be executed */

/* ---- finding it ---- */

static int path_join(char path[PATH_MAX], const char *folder, size_t folder_size, const char *name)
{
    int n = snprintf(path, PATH_MAX, "%.*s/%s", (int)folder_size, folder, name);

    return n < PATH_MAX ? 0 : -1;
}

static int path_search(const char *name, char path[PATH_MAX])
{
    const char *at = getenv("PATH");

    while (at != NULL) {
        size_t n = strcspn(at, ":");

        if (n > 0 && at[0] == '/' && path_join(path, at, n, name) == 0 && access(path, X_OK) == 0)
            return 0;
        at = at[n] == ':' ? at + n + 1 : NULL;
    }
    return -1;
}

int program_path(const char *argument, char path[PATH_MAX])
{
    char here[PATH_MAX];

    if (argument == NULL || *argument == '\0')
        return -1;
    if (strchr(argument, '/') == NULL)
        return path_search(argument, path);
    if (argument[0] == '/')
        return snprintf(path, PATH_MAX, "%s", argument) < PATH_MAX ? 0 : -1;
    return getcwd(here, sizeof here) != NULL ? path_join(path, here, strlen(here), argument) : -1;
}

/* ---- its command line ---- */

char **program_command(struct program_words *w)
{
    unsigned more = w->more != NULL ? w->more->count : 0, n = 0;
    char **v = calloc(8 + 2 * ((size_t)w->again->override_count + more), sizeof *v);

    if (v == NULL)
        return NULL;
    snprintf(w->number, sizeof w->number, "%d", w->state);
    v[n++] = (char *)w->path;
    if (w->test)
        v[n++] = (char *)"-t";
    v[n++] = (char *)"-c";
    v[n++] = (char *)w->again->file;
    for (unsigned i = 0; i < w->again->override_count; i++) {
        v[n++] = (char *)"-o";
        v[n++] = (char *)w->again->overrides[i];
    }
    for (unsigned i = 0; i < more; i++) {
        v[n++] = (char *)"-o";
        v[n++] = w->more->v[i];
    }
    v[n++] = (char *)"--take-over";
    v[n] = w->number;
    return v;
}

/* ---- asking it ---- */

/* In the new process: only calls that are allowed between fork and exec. */
static _Noreturn void test_child(char *const command[], int output, int state, const sigset_t *before)
{
    const char *why;
    int null = open("/dev/null", O_RDWR);

    signals_forget();
    signals_release(before);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    fcntl(state, F_SETFD, 0);
    execv(command[0], command);
    why = strerror(errno);
    (void)!write(STDERR_FILENO, command[0], strlen(command[0]));
    (void)!write(STDERR_FILENO, ": ", 2);
    (void)!write(STDERR_FILENO, why, strlen(why));
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(NOT_STARTED);
}

int program_test_begin(struct program_test *t, char *const command[], int state, uint64_t now_ms)
{
    sigset_t before;
    int ends[2];

    *t = (struct program_test){ .output = -1, .said = calloc(1, PROGRAM_SAID_MAX + 1) };
    if (t->said == NULL || pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    signals_hold(&before);
    t->pid = fork();
    if (t->pid == 0)
        test_child(command, ends[1], state, &before);
    signals_release(&before);
    close(ends[1]);
    t->output = ends[0];
    t->until_ms = now_ms + PROGRAM_TEST_MS;
    if (t->pid > 0) {
        fcntl(t->output, F_SETFL, O_NONBLOCK);
        return 0;
    }
    t->pid = 0;
    return -1;
}

/* What does not fit is read and dropped: nobody must wait for us. */
static void test_hear(struct program_test *t)
{
    char spare[512] = "";
    ssize_t n = 1;

    while (t->output != -1 && n > 0) {
        size_t room = PROGRAM_SAID_MAX - t->size;

        n = read(t->output, room > 0 ? t->said + t->size : spare, room > 0 ? room : sizeof spare);
        if (n > 0 && room > 0)
            t->size += (size_t)n;
    }
    if (t->output != -1 && (n == 0 || errno != EAGAIN)) {
        close(t->output);
        t->output = -1;
    }
}

/* Who failed without a word is spoken for. */
static void test_explain(struct program_test *t, const char *path, int status)
{
    char line[PATH_MAX + 128];

    if (t->late)
        snprintf(line, sizeof line, "%s: has not tested the configuration within %d s\n", path, PROGRAM_TEST_MS / 1000);
    else if (WIFSIGNALED(status))
        snprintf(line, sizeof line, "%s: the test of the configuration died of signal %d (%s)\n", path,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (t->size == 0)
        snprintf(line, sizeof line, "%s: the test of the configuration failed with status %d, and said no reason\n",
                 path, WEXITSTATUS(status));
    else
        return;
    t->size += (size_t)snprintf(t->said + t->size, PROGRAM_SAID_MAX + 1 - t->size, "%s", line);
}

/* A NUL in it would end the text. */
static void test_mend(struct program_test *t)
{
    for (size_t i = 0; i < t->size; i++)
        if (t->said[i] == '\0')
            t->said[i] = '?';
}

bool program_test_step(struct program_test *t, const char *path, uint64_t now_ms, bool *ok)
{
    int status;

    if (t->pid == 0)
        return false;
    test_hear(t);
    if (!t->late && now_ms >= t->until_ms) {
        t->late = true;
        t->until_ms = UINT64_MAX;       /* its end is a signal */
        kill(t->pid, SIGKILL);
    }
    if (waitpid(t->pid, &status, WNOHANG) != t->pid)
        return false;
    t->pid = 0;
    test_hear(t);               /* what it said last */
    test_mend(t);
    t->refused = !t->late && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE;
    *ok = !t->late && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    if (!*ok)
        test_explain(t, path, status);
    return true;
}

void program_test_abandon(struct program_test *t)
{
    if (t->said != NULL && t->output != -1)
        close(t->output);
    t->output = -1;
}

/* One that does not die at once (a disk does not answer) is not waited for: init buries it. */
void program_test_end(struct program_test *t)
{
    if (t->pid != 0) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, WNOHANG);
    }
    program_test_abandon(t);
    free(t->said);
    *t = (struct program_test){ .output = -1 };
}

/* ---- becoming it ---- */

static void keep_open(const int *kept, unsigned count, int flags)
{
    for (unsigned i = 0; i < count; i++)
        fcntl(kept[i], F_SETFD, flags);
}

int program_become(char *const command[], const int *kept, unsigned count)
{
    int error;

    keep_open(kept, count, 0);
    execv(command[0], command);
    error = errno;
    keep_open(kept, count, FD_CLOEXEC);
    errno = error;
    return -1;
}
