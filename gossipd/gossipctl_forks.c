/* gossipctl forks and unfreeze: who signed two histories, and what to do. */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gossipd/gossipctl.h"
#include "gossipd/host/store/database_evidence.h"
#include "gossipd/host/directory.h"

static const char advice[] =
    "\nOne key signed two histories under one generation: two processes ran from copies of one\n"
    "directory, an old copy was put back where no peer could say so, or the key was stolen.\n"
    "Here the feed is frozen: of it only what another member had applied still comes in.\n"
    "  1. Find the nodes with this key. Stop all but one; remove node.key and store.db* of the\n"
    "     others, or `gossipctl restore` a backup into a new directory with a key of its own.\n"
    "  2. Was the key stolen? Then a new node.key for the member, entered everywhere.\n"
    "  3. The node that is left goes on by itself, under a new generation. Nothing needs to be\n"
    "     unfrozen; `gossipctl unfreeze KEY GENERATION` on every member forgets the proof.\n"
    "docs/operations.md, section Forks, says more.";

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "?";
}

static void print_fork(const json_t *fork)
{
    char when[32] = "?";
    time_t found = (time_t)(json_integer_value(json_object_get(fork, "found_ms")) / 1000);
    struct tm parts;
    if (gmtime_r(&found, &parts) != NULL) {
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    bool is_frozen = json_is_true(json_object_get(fork, "frozen"));
    printf("%s %s\n  key         %s\n  generation  %s\n  found       %s, at operation "
           "%" JSON_INTEGER_FORMAT "\n  here        %s\n",
        is_frozen ? "fork of" : "not applied, of", text_at(fork, "member"),
        text_at(fork, "origin"), text_at(fork, "generation"), when,
        json_integer_value(json_object_get(fork, "seq")), text_at(fork, "head_a"));
    if (is_frozen) {
        printf("  other       %s\n", text_at(fork, "head_b"));
    } else {
        puts("              it builds on another history of some feed than the one here;\n"
             "              whose, nobody has proved yet");
    }
}

static enum exit_code print_forks(const json_t *forks)
{
    size_t index = 0;
    json_t *fork = NULL;
    if (json_array_size(forks) == 0) {
        puts("forks: none");
        return EXIT_DONE;
    }
    json_array_foreach(forks, index, fork) {
        print_fork(fork);
    }
    puts(advice);
    return EXIT_NOT;
}

struct checking {
    const uint8_t *cluster_id;
    size_t count;
};

static void print_proof(void *context, struct crdt_bytes evidence)
{
    static const char *const verdicts[] = {
        [EVIDENCE_PROVES] = "holds: both headers are signed by the key, and contradict",
        [EVIDENCE_IS_SINGLE] = "one header, validly signed: proves nothing by itself",
        [EVIDENCE_IS_FORGED] = "does not hold: a signature does not fit",
        [EVIDENCE_IS_BROKEN] = "does not hold: the row is damaged",
    };
    struct checking *checking = context;
    char key[2 * CRDT_KEY_BYTES + 1] = "?";
    struct evidence read;
    uint64_t generation = 0;
    uint64_t seq = 0;
    if (evidence_read(evidence, &read) == CRDT_OK) {
        for (size_t i = 0; i < CRDT_KEY_BYTES; i++) {
            snprintf(key + 2 * i, 3, "%02x", read.here.batch.origin.key[i]);
        }
        generation = read.here.batch.origin.generation;
        seq = evidence_seq(&read);
    }
    checking->count++;
    printf("%s %016" PRIx64 " at operation %" PRIu64 "\n  %s\n", key, generation, seq,
        verdicts[evidence_check(evidence, checking->cluster_id)]);
}

/* The directory's lock is held meanwhile, so that no gossipd starts on it. */
static enum exit_code check_directory(const char *dir)
{
    struct failure failure;
    char path[PATH_MAX];
    uint8_t cluster_id[CRDT_HASH_BYTES];
    struct checking checking = {.cluster_id = cluster_id};
    sqlite3 *handle = NULL;
    int lock = -1;
    if (!directory_lock(dir, &lock, &failure)) {
        fprintf(stderr, "gossipctl: %s\n", failure.text);
        return EXIT_NO_ANSWER;
    }
    snprintf(path, sizeof path, "%s/store.db", dir);
    bool is_read = database_evidence_open_file(path, cluster_id, &handle, &failure) &&
        database_evidence_replay(handle, print_proof, &checking, &failure);
    sqlite3_close(handle);
    close(lock);
    if (!is_read) {
        fprintf(stderr, "gossipctl: %s\n", failure.text);
        return EXIT_NO_ANSWER;
    }
    if (checking.count == 0) {
        puts("forks: none");
    }
    return checking.count == 0 ? EXIT_DONE : EXIT_NOT;
}

enum exit_code command_forks(const struct request *request)
{
    const char *words[] = {"CRDT.FORKS"};
    char *text = NULL;
    if (request->dir != NULL) {
        return check_directory(request->dir);
    }
    if (ask(request, ANSWER_SECONDS, "answers, but not as gossipd", 1, words, &text) !=
        EXIT_DONE) {
        return EXIT_NO_ANSWER;
    }
    json_error_t error;
    json_t *forks = json_loads(text, 0, &error);
    enum exit_code code = EXIT_NO_ANSWER;
    if (!json_is_array(forks)) {
        fprintf(stderr, "gossipctl: the answer is not a JSON array: %s\n", error.text);
    } else if (request->is_json) {
        puts(text);
        code = json_array_size(forks) == 0 ? EXIT_DONE : EXIT_NOT;
    } else {
        code = print_forks(forks);
    }
    json_decref(forks);
    free(text);
    return code;
}

enum exit_code command_unfreeze(const struct request *request)
{
    if (request->operand == NULL || request->operand_second == NULL) {
        return say_usage("unfreeze: expected KEY GENERATION, as gossipctl forks prints them");
    }
    const char *words[] = {"CRDT.UNFREEZE", request->operand, request->operand_second};
    char *text = NULL;
    enum exit_code code =
        ask(request, ANSWER_SECONDS, "did not unfreeze", 3, words, &text);
    if (code == EXIT_DONE) {
        puts("unfrozen here; while another member has the proof it comes back from there");
    }
    free(text);
    return code;
}
