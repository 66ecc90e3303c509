/* gossipctl: makes keys, asks a running gossipd how it is, and looks after the
 * store of a stopped one. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "gossipd/gossipctl.h"
#include "gossipd/host/clock.h"
#include "gossipd/host/config.h"
#include "gossipd/host/directory.h"
#include "gossipd/host/identity.h"
#include "gossipd/host/store/restore.h"

#define SOCKET_DEFAULT "./gossipd-data/gossipd.sock"
#define ADDRESS_DEFAULT "127.0.0.1:6379"
#define BACKUP_SECONDS 3600 /* a store of terabytes is not this program's yet       */

/* Flags that a command takes. */
enum takes { TAKES_NONE = 0, TAKES_NODE = 1, TAKES_DIR = 2, TAKES_JSON = 4 };

struct command {
    const char *name;
    enum exit_code (*run)(const struct request *request);
    unsigned takes;
    const char *operands;
    const char *help;
};

enum exit_code say_usage(const char *text)
{
    fprintf(stderr, "gossipctl: %s; see gossipctl --help\n", text);
    return EXIT_USAGE;
}

static void print_key(const struct identity *identity)
{
    char key[IDENTITY_HEX_BYTES];
    identity_key_text(identity->key, key);
    puts(key);
}

static enum exit_code command_keygen(const struct request *request)
{
    struct identity identity;
    struct failure failure;
    if (request->dir == NULL) {
        return say_usage("keygen: expected --dir DIR");
    }
    if (!directory_make(request->dir, &failure) ||
        !identity_create(request->dir, &identity, &failure)) {
        fprintf(stderr, "gossipctl: %s\n", failure.text);
        return EXIT_NOT;
    }
    print_key(&identity);
    identity_close(&identity);
    return EXIT_DONE;
}

static enum exit_code command_pubkey(const struct request *request)
{
    struct identity identity;
    struct failure failure;
    if (request->dir == NULL) {
        return say_usage("pubkey: expected --dir DIR");
    }
    if (!identity_read(request->dir, &identity, &failure)) {
        fprintf(stderr, "gossipctl: %s\n", failure.text);
        return EXIT_NOT;
    }
    print_key(&identity);
    identity_close(&identity);
    return EXIT_DONE;
}

static redisContext *connect_address(const char *text)
{
    const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
    struct config_address address;
    if (!config_address_parse(text, &address)) {
        say_usage("--address: expected HOST:PORT");
        exit(EXIT_USAGE);
    }
    return redisConnectWithTimeout(address.host, atoi(address.port), timeout);
}

/* Without flags the socket of a node started here without flags comes first. */
static redisContext *connect_node(const struct request *request, const char **ret_where)
{
    const struct timeval timeout = {.tv_sec = ANSWER_SECONDS};
    const char *path = request->socket;
    if (path == NULL && request->address == NULL && access(SOCKET_DEFAULT, F_OK) == 0) {
        path = SOCKET_DEFAULT;
    }
    if (path != NULL) {
        *ret_where = path;
        return redisConnectUnixWithTimeout(path, timeout);
    }
    *ret_where = request->address != NULL ? request->address : ADDRESS_DEFAULT;
    return connect_address(*ret_where);
}

enum exit_code ask(const struct request *request, int seconds, const char *refused,
    int count, const char **words, char **ret_text)
{
    const struct timeval timeout = {.tv_sec = seconds};
    const char *where = NULL;
    redisContext *node = connect_node(request, &where);
    enum exit_code code = EXIT_NO_ANSWER;
    redisReply *reply = NULL;
    if (node != NULL && node->err == 0) {
        redisSetTimeout(node, timeout);
        reply = redisCommandArgv(node, count, words, NULL);
    }
    if (reply != NULL &&
        (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS)) {
        *ret_text = strdup(reply->str);
        code = *ret_text != NULL ? EXIT_DONE : EXIT_NO_ANSWER;
    } else if (reply != NULL) {
        code = EXIT_NOT;
        fprintf(stderr, "gossipctl: %s %s: %s\n", where, refused,
            reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply");
    } else {
        fprintf(stderr, "gossipctl: no answer from %s: %s; is gossipd running there? "
            "--socket PATH or --address HOST:PORT names another node\n", where,
            node != NULL ? node->errstr : "out of memory");
    }
    freeReplyObject(reply);
    redisFree(node);
    return code;
}

/* The node does not share our working directory. */
static bool make_absolute(const char *file, char ret_path[static PATH_MAX])
{
    char here[PATH_MAX] = "";
    bool is_absolute = file[0] == '/';
    if (!is_absolute && getcwd(here, sizeof here) == NULL) {
        return false;
    }
    int size = snprintf(ret_path, PATH_MAX, "%s%s%s", here, is_absolute ? "" : "/", file);
    return size > 0 && size < PATH_MAX;
}

static enum exit_code command_backup(const struct request *request)
{
    char path[PATH_MAX];
    if (request->operand == NULL) {
        return say_usage("backup: expected the FILE to make");
    }
    if (!make_absolute(request->operand, path)) {
        return say_usage("backup: the path is too long");
    }
    const char *words[] = {"CRDT.BACKUP", path};
    char *text = NULL;
    enum exit_code code = ask(request, BACKUP_SECONDS, "made no backup", 2, words, &text);
    if (code == EXIT_DONE) {
        printf("backup: %s\n", path);
    }
    free(text);
    return code;
}

/* Long work says a word a second, to a person's patience. */
static void print_progress(void *context, uint64_t done, uint64_t total)
{
    uint64_t *said_us = context;
    uint64_t now_us = clock_monotonic_us();
    if (now_us - *said_us >= 1000000) {
        *said_us = now_us;
        fprintf(stderr, "gossipctl: %" PRIu64 " of %" PRIu64 " batches\n", done, total);
    }
}

static void print_hash(const uint8_t hash[static CRDT_HASH_BYTES], const char *end)
{
    char text[2 * CRDT_HASH_BYTES + 1];
    sodium_bin2hex(text, sizeof text, hash, CRDT_HASH_BYTES);
    printf("%s%s", text, end);
}

static enum exit_code say_report(enum verify_result result, const struct verify_report *report,
    const struct failure *failure)
{
    if (result != VERIFY_WHOLE) {
        fprintf(stderr, "gossipctl: %s\n", failure->text);
        return result == VERIFY_BROKEN ? EXIT_NOT : EXIT_NO_ANSWER;
    }
    printf("whole:  %" PRIu64 " batches, %" PRIu64 " operations, %" PRIu64 " feeds",
        report->batches, report->operations, report->feeds);
    if (report->dropped_feeds > 0) {
        printf("; of %" PRIu64 " the oldest batches were dropped, a snapshot has them",
            report->dropped_feeds);
    }
    printf("\ndigest: ");
    print_hash(report->digest.context, " ");
    print_hash(report->digest.heads, " ");
    print_hash(report->digest.state, "\n");
    return EXIT_DONE;
}

/* A directory's lock is held meanwhile, so that no gossipd starts on it. */
static enum exit_code command_verify(const struct request *request)
{
    struct stat facts;
    struct failure failure;
    struct verify_report report;
    char path[PATH_MAX];
    uint64_t said_us = clock_monotonic_us();
    int lock = -1;
    if (request->operand == NULL) {
        return say_usage("verify: expected a data directory or a backup file");
    }
    if (stat(request->operand, &facts) != 0) {
        fprintf(stderr, "gossipctl: %s: %s\n", request->operand, strerror(errno));
        return EXIT_NO_ANSWER;
    }
    bool is_directory = S_ISDIR(facts.st_mode);
    if (is_directory && !directory_lock(request->operand, &lock, &failure)) {
        fprintf(stderr, "gossipctl: %s\n", failure.text);
        return EXIT_NO_ANSWER;
    }
    snprintf(path, sizeof path, "%s%s", request->operand, is_directory ? "/store.db" : "");
    enum verify_result result =
        verify_store(path, print_progress, &said_us, &report, NULL, &failure);
    if (lock >= 0) {
        close(lock);
    }
    return say_report(result, &report, &failure);
}

/* What must be known before the first start. */
static void print_restored(const char *dir, bool has_key)
{
    printf("restored to %s: its next start begins a new generation\n", dir);
    if (!has_key) {
        printf("%s has no %s: put the node's own there (mode 0600) before that start, or\n"
               "run gossipctl keygen --dir %s: a new member, whose key the others must learn\n",
            dir, IDENTITY_FILE, dir);
    }
}

static enum exit_code command_restore(const struct request *request)
{
    struct failure failure;
    struct verify_report report;
    uint64_t said_us = clock_monotonic_us();
    bool has_key = false;
    if (request->operand == NULL || request->dir == NULL) {
        return say_usage("restore: expected FILE --dir DIR");
    }
    enum verify_result result = restore_store(
        request->operand, request->dir, print_progress, &said_us, &report, &has_key, &failure);
    enum exit_code code = say_report(result, &report, &failure);
    if (code == EXIT_DONE) {
        print_restored(request->dir, has_key);
    }
    return code;
}

static const struct command commands[] = {
    {"status", command_status, TAKES_NODE | TAKES_JSON, "",
        "has the cluster converged, and how are its members (--json)"},
    {"forks", command_forks, TAKES_NODE | TAKES_DIR | TAKES_JSON, "",
        "has a key signed two histories, and what to do (--json, --dir)"},
    {"unfreeze", command_unfreeze, TAKES_NODE, "KEY GENERATION",
        "forget the proof of a fork on this node"},
    {"backup", command_backup, TAKES_NODE, "FILE",
        "copy a running node's store to a new file beside it"},
    {"verify", command_verify, TAKES_NONE, "DIR|FILE",
        "is every batch of a stopped node, or of a backup, whole?"},
    {"restore", command_restore, TAKES_DIR, "FILE --dir DIR",
        "make a stopped node's directory of a backup"},
    {"keygen", command_keygen, TAKES_DIR, "--dir DIR", "make DIR/node.key, print the public key"},
    {"pubkey", command_pubkey, TAKES_DIR, "--dir DIR", "print the public key of DIR/node.key"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(void)
{
    puts("usage: gossipctl [--socket PATH | --address HOST:PORT] COMMAND\n\nCommands:");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("  %-8s %-14s  %s\n", commands[i].name, commands[i].operands, commands[i].help);
    }
    puts("\nWithout --socket and --address it asks " SOCKET_DEFAULT " if that\n"
         "exists, else " ADDRESS_DEFAULT ".\n\n"
         "Exit codes: 0 done, converged, or whole; 1 not; 2 no answer, or the store cannot be\n"
         "opened; 3 converged with the members that answer while some are down; 64 wrong usage.\n\n"
         "A backup holds the store, not the node's secret key: keep a copy of DIR/node.key.\n"
         "restore wants a DIR that is absent, or holds nothing but node.key. After it the node\n"
         "goes on under a new generation, and its peers send it what the backup lacks.\n"
         "docs/operations.md says more.\n\n"
         "A new member: `gossipctl keygen --dir DIR` on it; the printed key goes into a `peer`\n"
         "section of every other member's configuration (see gossipd --help).");
}

/* Takes the flags, wherever they stand; what is left is the command. */
static enum exit_code read_flags(
    int count, char **arguments, struct request *request, const char **ret_command)
{
    const struct {
        const char *name;
        const char **value;
    } flags[] = {{"--socket", &request->socket}, {"--address", &request->address},
        {"--dir", &request->dir}};
    for (int i = 1; i < count; i++) {
        size_t which = 0;
        while (which < 3 && strcmp(arguments[i], flags[which].name) != 0) {
            which++;
        }
        if (which < 3 && i + 1 >= count) {
            return say_usage("expected a value behind the last flag");
        }
        if (which < 3) {
            *flags[which].value = arguments[++i];
        } else if (strcmp(arguments[i], "--json") == 0) {
            request->is_json = true;
        } else if (*ret_command != NULL && request->operand == NULL && arguments[i][0] != '-') {
            request->operand = arguments[i];
        } else if (request->operand != NULL && request->operand_second == NULL &&
            strcmp(*ret_command, "unfreeze") == 0 && arguments[i][0] != '-') {
            request->operand_second = arguments[i];
        } else if (arguments[i][0] == '-' || *ret_command != NULL) {
            fprintf(stderr, "gossipctl: %s: not expected here; see gossipctl --help\n",
                arguments[i]);
            return EXIT_USAGE;
        } else {
            *ret_command = arguments[i];
        }
    }
    return EXIT_DONE;
}

/* A flag that is passed over in silence would be taken for heard. */
static bool is_understood(const struct command *command, const struct request *request)
{
    bool has_node = request->socket != NULL || request->address != NULL;
    const char *flag = NULL;
    if (has_node && (command->takes & TAKES_NODE) == 0) {
        flag = request->socket != NULL ? "--socket" : "--address";
    } else if (request->dir != NULL && (command->takes & TAKES_DIR) == 0) {
        flag = "--dir";
    } else if (request->is_json && (command->takes & TAKES_JSON) == 0) {
        flag = "--json";
    } else if (request->dir != NULL && (has_node || request->is_json)) {
        fprintf(stderr, "gossipctl: %s --dir reads the store of a stopped node: not with --socket, "
            "--address or --json; see gossipctl --help\n", command->name);
        return false;
    }
    if (flag != NULL) {
        fprintf(stderr, "gossipctl: %s does not take %s; see gossipctl --help\n", command->name,
            flag);
    }
    return flag == NULL;
}

static enum exit_code run_command(const struct command *command, const struct request *request)
{
    bool takes_operand = command->operands[0] != '\0' && command->operands[0] != '-';
    if (request->operand != NULL && !takes_operand) {
        return say_usage("nothing is expected behind this command");
    }
    return is_understood(command, request) ? command->run(request) : EXIT_USAGE;
}

static enum exit_code run(int count, char **arguments)
{
    struct request request = {0};
    const char *name = NULL;
    if (read_flags(count, arguments, &request, &name) != EXIT_DONE) {
        return EXIT_USAGE;
    }
    if (request.socket != NULL && request.address != NULL) {
        return say_usage("expected --socket or --address, not both");
    }
    if (name == NULL) {
        return say_usage("expected a command");
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return run_command(&commands[i], &request);
        }
    }
    fprintf(stderr, "gossipctl: there is no command \"%s\"; see gossipctl --help\n", name);
    return EXIT_USAGE;
}

int main(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) {
            print_help();
            return EXIT_DONE;
        }
        if (strcmp(arguments[i], "--version") == 0) {
            puts("gossipctl " GOSSIPD_VERSION);
            return EXIT_DONE;
        }
    }
    if (sodium_init() < 0) {
        fputs("gossipctl: libsodium cannot start: the kernel gives no randomness\n", stderr);
        return EXIT_NOT;
    }
    return (int)run(count, arguments);
}
