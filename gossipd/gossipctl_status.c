/* gossipctl status: have the members converged, and how are they? */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gossipd/gossipctl.h"

static bool member_is(const json_t *member, const char *state)
{
    const char *is = json_string_value(json_object_get(member, "state"));
    return is != NULL && strcmp(is, state) == 0;
}

/* Nobody can have converged with a member that is down; what can be said then is
 * that this node and those that answer are equal. Counts of what is missing do not
 * say that: a member that has not spoken yet has none. */
static enum exit_code judge(const json_t *status)
{
    size_t index = 0;
    json_t *member = NULL;
    bool has_down = false;
    bool is_missing = false;
    json_array_foreach(json_object_get(status, "members"), index, member) {
        bool is_down = member_is(member, "down") || member_is(member, "suspect");
        bool is_self = json_is_true(json_object_get(member, "self"));
        has_down = has_down || is_down;
        is_missing = is_missing ||
            (!is_down && !is_self && !json_is_true(json_object_get(member, "equal")));
    }
    if (json_is_true(json_object_get(status, "converged"))) {
        return EXIT_DONE;
    }
    return has_down && !is_missing ? EXIT_SOME_DOWN : EXIT_NOT;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "?";
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_members(const json_t *members)
{
    size_t index = 0;
    json_t *member = NULL;
    printf("%-20s %-8s %14s %14s %10s\n", "MEMBER", "STATE", "MISSING HERE", "MISSING THERE",
        "SINCE");
    json_array_foreach(members, index, member) {
        bool is_self = json_is_true(json_object_get(member, "self"));
        printf("%-20s %-8s %14" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT
               " %9" JSON_INTEGER_FORMAT "s%s%s\n",
            text_of(member, "name"), text_of(member, "state"),
            number_of(member, "missing_here"), number_of(member, "missing_there"),
            number_of(member, "since_ms") / 1000, is_self ? "  (this node)" : "",
            json_is_true(json_object_get(member, "blocks_log")) ? "  (keeps the log)" : "");
    }
}

static void print_status(const json_t *status, enum exit_code verdict)
{
    const char *words = "no: operations are still on their way";
    if (verdict == EXIT_DONE) {
        words = "yes";
    } else if (verdict == EXIT_SOME_DOWN) {
        words = "yes, with the members that answer; some are down";
    }
    printf("converged: %s\ndigest:    %s\n", words, text_of(status, "digest"));
    print_members(json_object_get(status, "members"));
}

enum exit_code command_status(const struct request *request)
{
    json_error_t error;
    const char *words[] = {"CRDT.STATUS"};
    char *text = NULL;
    if (ask(request, ANSWER_SECONDS, "answers, but not as gossipd", 1, words, &text) !=
        EXIT_DONE) {
        return EXIT_NO_ANSWER;
    }
    json_t *status = json_loads(text, 0, &error);
    enum exit_code verdict = EXIT_NO_ANSWER;
    if (status == NULL) {
        fprintf(stderr, "gossipctl: the answer is not JSON: %s\n", error.text);
    } else {
        verdict = judge(status);
        if (request->is_json) {
            puts(text);
        } else {
            print_status(status, verdict);
        }
    }
    json_decref(status);
    free(text);
    return verdict;
}
