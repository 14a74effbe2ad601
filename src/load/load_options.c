/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of iomux-load.  Knows what is possible, not what is done with it. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/load.h"

enum {
    CONNECTIONS_MAX = 1000000,
    DEPTH_MAX = 1024,           /* of a pipeline */
    SIZE_MAX_DATAGRAM = 3072,   /* bytes: they are copied, each with its number */
    SECONDS_MAX = 1000000
};

enum long_option { OPTION_SOURCE = 256, OPTION_VERIFY, OPTION_EXPECT, OPTION_DATA, OPTION_MODEL, OPTION_MODELS,
                   OPTION_JSON, OPTION_PROGRESS, OPTION_TIMEOUT };

static const char usage_text[] =
    "usage: iomux-load [options] URL\n"
    "       iomux-load --list-models | -V | -h\n"
    "\n"
    "URL is http://HOST[:PORT][/PATH], echo://HOST[:PORT] or echo+udp://HOST[:PORT].\n"
    "\n"
    "  -c, --connections N     connections that ask (1)\n"
    "  -i, --idle N            connections beside them that ask once and then rest (0)\n"
    "  -r, --rate N            ask N times a second, whatever the server does (as fast as it answers)\n"
    "  -d, --duration S        seconds that are measured (10)\n"
    "  -w, --warm-up S         seconds before that (0)\n"
    "  -n, --requests N        end after N requests\n"
    "  -p, --pipeline N        requests under way on a connection (1)\n"
    "  -k, --keep-alive on|off off: a connection for each request (on)\n"
    "  -t, --workers N         processes that ask (1)\n"
    "  -m, --method METHOD     of HTTP (GET, POST with --data)\n"
    "  -H, --header 'N: V'     one more header field; may be repeated\n"
    "      --data TEXT|@FILE   the content of requests\n"
    "  -s, --size N            bytes of a message of echo (64)\n"
    "      --expect-body TEXT  the content that each answer must have\n"
    "      --verify FILE       the same, in a file\n"
    "      --source LIST       addresses to come from: ADDR[-ADDR][,...]\n"
    "      --timeout S         seconds for an answer (10; 1 for datagrams)\n"
    "      --io-model MODEL    how this program waits (epoll)\n"
    "      --json FILE         write the results as JSON too; -: only that, on stdout\n"
    "      --progress          say every second how it goes\n"
    "      --list-models       print the I/O models, and which can run here\n"
    "  -V, --version           print the version\n"
    "  -h, --help              print this text\n"
    "\n"
    "Exit status: 0 if every request was answered well, 1 if not, 2 for a wrong command line.  See iomux-load(1).\n";

void load_usage(void)
{
    fputs(usage_text, stdout);
}

static bool complain(const char *option, const char *text, const char *wanted)
{
    fprintf(stderr, "iomux-load: %s: '%s' is not %s\n", option, text, wanted);
    return false;
}

static bool read_count(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    char *end, wanted[80];
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && n >= least && n <= most) {
        *value = n;
        return true;
    }
    snprintf(wanted, sizeof wanted, "a number from %llu to %llu", (unsigned long long)least, (unsigned long long)most);
    return complain(option, text, wanted);
}

static bool read_unsigned(const char *option, const char *text, unsigned least, unsigned most, unsigned *value)
{
    uint64_t n = 0;
    if (!read_count(option, text, least, most, &n))
        return false;
    *value = (unsigned)n;
    return true;
}

static bool read_real(const char *option, const char *text, double least, double most, double *value)
{
    char *end, wanted[80];
    double x = strtod(text, &end);
    if (end != text && *end == '\0' && isfinite(x) && x >= least && x <= most) {
        *value = x;
        return true;
    }
    snprintf(wanted, sizeof wanted, "a number from %g to %.9g", least, most);
    return complain(option, text, wanted);
}

static bool read_switch(const char *text, bool *off)
{
    *off = strcmp(text, "off") == 0;
    return *off || strcmp(text, "on") == 0 || complain("--keep-alive", text, "on or off");
}

static bool read_size(struct load_options *o, const char *text)
{
    unsigned size = 0;
    if (!read_unsigned("--size", text, 1, LOAD_UNDER_WAY_MAX, &size))
        return false;
    o->size = size;
    o->size_given = true;
    return true;
}

/* "Name: value", and nothing that would end the line. */
static bool read_header(struct load_options *o, const char *text)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon == text || strpbrk(text, "\r\n") != NULL || strcspn(text, " \t") < (size_t)(colon - text))
        return complain("--header", text, "'NAME: VALUE'");
    o->headers[o->header_count++] = text;
    return true;
}

static bool read_method(struct load_options *o, const char *text)
{
    o->method = text;
    if (*text != '\0' && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_")] == '\0')
        return true;
    return complain("--method", text, "a method");
}

static bool option_numbers(struct load_options *o, int option)
{
    switch (option) {
    case 'c': return read_unsigned("--connections", optarg, 1, CONNECTIONS_MAX, &o->connections);
    case 'i': return read_unsigned("--idle", optarg, 0, CONNECTIONS_MAX, &o->idle);
    case 'r': return read_real("--rate", optarg, 0.001, 1e9, &o->rate);
    case 'd': o->duration_given = true;
              return read_real("--duration", optarg, 0.001, SECONDS_MAX, &o->duration_s);
    case 'w': return read_real("--warm-up", optarg, 0, SECONDS_MAX, &o->warm_s);
    case 'n': return read_count("--requests", optarg, 1, UINT64_MAX / 2, &o->requests);
    case 'p': return read_unsigned("--pipeline", optarg, 1, DEPTH_MAX, &o->depth);
    case 't': return read_unsigned("--workers", optarg, 1, LOAD_WORKERS_MAX, &o->workers);
    case 's': return read_size(o, optarg);
    default:  return read_real("--timeout", optarg, 0.001, SECONDS_MAX, &o->timeout_s);
    }
}

static bool option_texts(struct load_options *o, int option)
{
    switch (option) {
    case 'k':             return read_switch(optarg, &o->one_each);
    case 'm':             return read_method(o, optarg);
    case 'H':             return read_header(o, optarg);
    case OPTION_DATA:     o->data = optarg; break;
    case OPTION_EXPECT:   o->expect_text = optarg; break;
    case OPTION_VERIFY:   o->verify_file = optarg; break;
    case OPTION_SOURCE:   o->sources = optarg; break;
    case OPTION_MODEL:    o->model_name = optarg; break;
    case OPTION_JSON:     o->json = optarg; break;
    case OPTION_PROGRESS: o->progress = true; break;
    }
    return true;
}

static bool option_is_number(int option)
{
    return option == OPTION_TIMEOUT || (option < 256 && strchr("cirdwnpts", option) != NULL);
}

/* What cannot be had together. */
static const char *contradiction(const struct load_options *o)
{
    bool http = strncmp(o->url, "http:", 5) == 0, datagrams = strncmp(o->url, "echo+udp:", 9) == 0;
    if (o->workers > o->connections)
        return "there are fewer connections than workers";
    if (o->verify_file != NULL && o->expect_text != NULL)
        return "--verify and --expect-body are two answers to one question";
    if (!http && (o->header_count > 0 || o->method != NULL || o->data != NULL || o->verify_file != NULL ||
                  o->expect_text != NULL))
        return "--header, --method, --data, --verify and --expect-body are for HTTP; echo is always verified";
    if (http && o->size_given)
        return "--size is for echo";
    if (!http && o->size * o->depth > LOAD_UNDER_WAY_MAX)
        return "the messages under way on a connection have at most 262144 bytes together";
    if (datagrams && o->size > SIZE_MAX_DATAGRAM)
        return "a datagram has at most 3072 bytes here";
    if (datagrams && o->one_each)
        return "datagrams have no connections: -k off says nothing";
    if (o->one_each && o->depth > 1)
        return "with a connection for each request there is nothing to pipeline";
    return NULL;
}

static enum load_action options_finish(struct load_options *o, int argc, char *argv[])
{
    const char *why;
    if (optind + 1 != argc) {
        fprintf(stderr, "iomux-load: %s\n", optind < argc ? "one URL, and no more" : "a URL is missing");
        return LOAD_MISUSE;
    }
    o->url = argv[optind];
    why = contradiction(o);
    if (why != NULL) {
        fprintf(stderr, "iomux-load: %s\n", why);
        return LOAD_MISUSE;
    }
    if (o->timeout_s == 0)
        o->timeout_s = strncmp(o->url, "echo+udp:", 9) == 0 ? 1 : 10;
    if (o->method == NULL)
        o->method = o->data != NULL ? "POST" : "GET";
    return LOAD_RUN;
}

enum load_action load_options_read(struct load_options *o, int argc, char *argv[])
{
    static const struct option options[] = {
        { "connections", required_argument, NULL, 'c' },    { "idle", required_argument, NULL, 'i' },
        { "rate", required_argument, NULL, 'r' },           { "duration", required_argument, NULL, 'd' },
        { "warm-up", required_argument, NULL, 'w' },        { "requests", required_argument, NULL, 'n' },
        { "pipeline", required_argument, NULL, 'p' },       { "keep-alive", required_argument, NULL, 'k' },
        { "workers", required_argument, NULL, 't' },        { "method", required_argument, NULL, 'm' },
        { "header", required_argument, NULL, 'H' },         { "size", required_argument, NULL, 's' },
        { "data", required_argument, NULL, OPTION_DATA },   { "expect-body", required_argument, NULL, OPTION_EXPECT },
        { "verify", required_argument, NULL, OPTION_VERIFY }, { "source", required_argument, NULL, OPTION_SOURCE },
        { "timeout", required_argument, NULL, OPTION_TIMEOUT }, { "io-model", required_argument, NULL, OPTION_MODEL },
        { "json", required_argument, NULL, OPTION_JSON },   { "progress", no_argument, NULL, OPTION_PROGRESS },
        { "list-models", no_argument, NULL, OPTION_MODELS }, { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },                 { NULL, 0, NULL, 0 }
    };
    int option;
    *o = (struct load_options){ .connections = 1, .workers = 1, .depth = 1, .duration_s = 10, .size = 64,
                                .headers = o->headers };
    while ((option = getopt_long(argc, argv, "c:i:r:d:w:n:p:k:t:m:H:s:Vh", options, NULL)) != -1) {
        if (option == 'h' || option == 'V' || option == OPTION_MODELS)
            return option == 'h' ? LOAD_HELP : option == 'V' ? LOAD_VERSION : LOAD_MODELS;
        if (option == '?' || !(option_is_number(option) ? option_numbers(o, option) : option_texts(o, option)))
            return LOAD_MISUSE;
    }
    return options_finish(o, argc, argv);
}
