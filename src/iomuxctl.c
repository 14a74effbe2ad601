/* SPDX-License-Identifier: BSD-2-Clause */
/* The program iomuxctl: its command line, and from there a question to the daemon. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl_show.h"
#include "ctl/ctl_talk.h"
#include "ctl/ctl_top.h"

#define WATCH_DEFAULT_S 2.0
#define WATCH_MIN_S 0.1
#define WATCH_MAX_S 3600.0

struct options {
    const char *path;
    const char *sort, *limit;
    double      watch_s;                /* 0: once */
    bool        json, fresh, help, version, misuse;
};

struct verb {
    const char *name;
    const char *argument;               /* its key in the request; NULL: the command takes none */
    const char *example;
    void      (*show)(const json_t *answer, FILE *to);      /* NULL: nothing is said when all is well */
    unsigned    limit_ms;
    bool        lists;                  /* --sort and --limit mean something, */
    bool        repeats;                /* and --watch, */
    bool        refreshes;              /* and --fresh */
};

static const struct verb verbs[] = {
    { .name = "status", .show = show_status, .limit_ms = CTL_ANSWER_MS, .repeats = true },
    { .name = "connections", .show = show_connections, .limit_ms = CTL_ANSWER_MS, .lists = true, .repeats = true },
    { .name = "models", .show = show_models, .limit_ms = CTL_ANSWER_MS },
    { .name = "version", .show = show_version, .limit_ms = CTL_ANSWER_MS },
    { .name = "reload", .limit_ms = CTL_RELOAD_MS, .refreshes = true },
    { .name = "set", .argument = "setting", .example = "PATH=VALUE, such as io_model=poll", .limit_ms = CTL_RELOAD_MS },
    { .name = "unset", .argument = "path", .example = "the PATH of a setting, such as io_model",
      .limit_ms = CTL_RELOAD_MS },
    { .name = "drain", .argument = "worker", .example = "WORKER, such as main.0", .limit_ms = CTL_ANSWER_MS },
    { .name = "log-level", .argument = "level", .example = "LEVEL: error, warn, notice, info or debug",
      .limit_ms = CTL_ANSWER_MS },
    { .name = "reopen", .limit_ms = CTL_ANSWER_MS },
    { .name = "stop", .limit_ms = CTL_ANSWER_MS },
};

static const char usage_text[] =
    "usage: iomuxctl [-s SOCKET] [--json] [--watch[=SECONDS]] COMMAND\n"
    "\n"
    "  status                what runs, and how much it does\n"
    "  connections           who is connected; --sort age|received|sent|bytes, --limit N (100)\n"
    "  top                   a screen that goes on; q ends it\n"
    "  models                the I/O models, and which can run\n"
    "  version               of iomuxctl and of the daemon\n"
    "  reload                take over the configuration file, and the program, as they are now; waits for the result;\n"
    "                        --fresh forgets what was set\n"
    "  set PATH=VALUE        the same with one setting changed, for as long as the daemon runs; as in set io_model=poll\n"
    "  unset PATH            the same as the file has it again\n"
    "  drain WORKER          replace this worker by another process\n"
    "  log-level LEVEL       error, warn, notice, info or debug, until the next reload\n"
    "  reopen                open the log files again, after they were renamed\n"
    "  stop                  end what is under way, then the daemon\n"
    "\n"
    "  -s, --socket SOCKET   of the daemon (root: /run/iomuxd/control.sock)\n"
    "      --json            print the daemon's answer as it is\n"
    "      --watch[=SECONDS] again and again (status, connections; top: how often), every 2 seconds\n"
    "  -V, --version         print the version of iomuxctl\n"
    "  -h, --help            print this text\n"
    "\n"
    "Exit status: 0 done; 1 the daemon refused or failed; 2 usage; 3 the daemon cannot be reached; 4 it does not\n"
    "answer within 2 seconds (reload, set, unset: 45).  See iomuxctl(1).\n";

static bool watch_read(struct options *o, const char *text)
{
    char *end;

    errno = 0;
    o->watch_s = text == NULL ? WATCH_DEFAULT_S : strtod(text, &end);
    if (text == NULL || (errno == 0 && end != text && *end == '\0' && o->watch_s >= WATCH_MIN_S &&
                         o->watch_s <= WATCH_MAX_S))
        return true;
    fprintf(stderr, "iomuxctl: --watch: '%s' is no number of seconds from 0.1 to 3600\n", text);
    return false;
}

static void option_apply(struct options *o, int option)
{
    switch (option) {
    case 's': o->path = optarg; break;
    case 'j': o->json = true; break;
    case 'w': o->misuse = !watch_read(o, optarg); break;
    case 'S': o->sort = optarg; break;
    case 'L': o->limit = optarg; break;
    case 'F': o->fresh = true; break;
    case 'V': o->version = true; break;
    case 'h': o->help = true; break;
    default:  o->misuse = true; break;
    }
}

/* getopt_long has said on stderr what is wrong with an option. */
static void options_read(struct options *o, int argc, char *argv[])
{
    static const struct option known[] = {
        { "socket", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
        { "watch", optional_argument, NULL, 'w' },  { "sort", required_argument, NULL, 'S' },
        { "limit", required_argument, NULL, 'L' },  { "fresh", no_argument, NULL, 'F' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 }
    };
    int option;

    while (!o->misuse && (option = getopt_long(argc, argv, "s:Vh", known, NULL)) != -1)
        option_apply(o, option);
}

static int misuse(const char *why, const char *what)
{
    if (why != NULL)
        fprintf(stderr, why, what);
    fputs("Try 'iomuxctl --help'.\n", stderr);
    return CTL_USAGE;
}

/* What was printed must have arrived. */
static int was_printed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CTL_OK;
    fprintf(stderr, "iomuxctl: cannot write to stdout: %s\n", strerror(errno));
    return CTL_REFUSED;
}

static json_t *request_make(const struct verb *v, const struct options *o, const char *argument)
{
    json_t *request = json_pack("{s:s}", "command", v->name);

    if (v->argument != NULL)
        json_object_set_new(request, v->argument, json_string(argument));
    if (o->fresh)
        json_object_set_new(request, "fresh", json_true());
    if (o->sort != NULL)
        json_object_set_new(request, "sort", json_string(o->sort));
    if (o->limit != NULL)
        json_object_set_new(request, "limit", json_integer(strtoll(o->limit, NULL, 10)));
    return request;
}

static int verb_run(const struct verb *v, const struct options *o, const char *argument)
{
    int status;
    json_t *answer = talk_ask(o->path, request_make(v, o, argument), v->limit_ms, &status);

    if (answer == NULL)
        return status;
    if (o->json) {
        json_dumpf(answer, stdout, o->watch_s > 0 ? JSON_COMPACT : JSON_INDENT(2));
        putchar('\n');
    } else if (v->show != NULL) {
        v->show(answer, stdout);
    }
    json_decref(answer);
    return was_printed();
}

/* On a terminal each answer takes the place of the one before; elsewhere an empty line is between them. */
static int verb_watch(const struct verb *v, const struct options *o)
{
    bool screen = isatty(STDOUT_FILENO) && !o->json;
    struct timespec pause = { (time_t)o->watch_s, (long)((o->watch_s - (double)(time_t)o->watch_s) * 1e9) };
    int status = CTL_OK;

    for (bool first = true; status == CTL_OK; first = false) {
        if (screen)
            fputs("\033[H\033[2J", stdout);
        else if (!first && !o->json)
            putchar('\n');
        status = verb_run(v, o, NULL);
        if (status == CTL_OK)
            nanosleep(&pause, NULL);
    }
    return status;
}

static bool is_number(const char *text)
{
    return *text != '\0' && strspn(text, "0123456789") == strlen(text) && strlen(text) < 10;
}

/* `words`: what stands behind the command, `count` of them. */
static int verb_check(const struct verb *v, const struct options *o, char *words[], int count)
{
    if (v->argument != NULL && count != 1) {
        fprintf(stderr, "iomuxctl: %s needs %s\n", v->name, v->example);
        return misuse(NULL, NULL);
    }
    if (v->argument == NULL && count > 0)
        return misuse("iomuxctl: unexpected argument '%s'\n", words[0]);
    if (!v->lists && (o->sort != NULL || o->limit != NULL))
        return misuse("iomuxctl: --sort and --limit mean nothing for %s\n", v->name);
    if (!v->refreshes && o->fresh)
        return misuse("iomuxctl: --fresh means nothing for %s\n", v->name);
    if (!v->repeats && o->watch_s > 0)
        return misuse("iomuxctl: --watch means nothing for %s\n", v->name);
    if (o->limit != NULL && !is_number(o->limit))
        return misuse("iomuxctl: --limit: '%s' is no number\n", o->limit);
    return CTL_OK;
}

static int top_check(const struct options *o, char *words[], int count)
{
    if (count > 0)
        return misuse("iomuxctl: unexpected argument '%s'\n", words[0]);
    if (o->sort != NULL || o->limit != NULL || o->json || o->fresh)
        return misuse("iomuxctl: %s takes no option but --watch\n", "top");
    return top_run(o->path, o->watch_s > 0 ? o->watch_s : 1);
}

static int command_find(const struct options *o, char *words[], int count)
{
    int status;

    if (count == 0)
        return misuse("iomuxctl: %s\n", "a command is needed");
    if (strcmp(words[0], "top") == 0)
        return top_check(o, words + 1, count - 1);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(words[0], verbs[i].name) != 0)
            continue;
        status = verb_check(&verbs[i], o, words + 1, count - 1);
        if (status != CTL_OK)
            return status;
        return o->watch_s > 0 ? verb_watch(&verbs[i], o) : verb_run(&verbs[i], o, words[1]);
    }
    return misuse("iomuxctl: there is no command '%s'\n", words[0]);
}

int main(int argc, char *argv[])
{
    struct options o = { .path = NULL };
    char path[TALK_PATH_SIZE];

    options_read(&o, argc, argv);
    if (o.misuse)
        return misuse(NULL, NULL);
    if (o.help || o.version) {
        if (o.help)
            fputs(usage_text, stdout);
        else
            printf("iomuxctl %s\n", PACKAGE_VERSION);
        return was_printed();
    }
    if (o.path == NULL) {
        talk_default_path(path);
        o.path = path;
    }
    return command_find(&o, argv + optind, argc - optind);
}
