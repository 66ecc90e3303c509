/* The CONFIG commands. One value can change while the node runs: durability. */
#include "gossipd/core/commands/config.h"

#include <string.h>

#include "gossipd/core/commands/functions.h"
#include "gossipd/core/commands/glob.h"
#include "gossipd/core/commands/help.h"
#include "gossipd/core/commands/text.h"
#include "gossipd/wire/resp.h"

static const char *const durability_names[] = {
    [CORE_ALWAYS] = "always",
    [CORE_EVERYSEC] = "everysec",
    [CORE_NO] = "no",
};
#define DURABILITY_COUNT (sizeof durability_names / sizeof *durability_names)

const char *config_durability(const struct call *call)
{
    return durability_names[*call->environment->durability];
}

const char *config_setting(const struct call *call, const char *name)
{
    const struct core_options *options = call->environment->options;
    for (size_t i = 0; i < options->setting_count; i++) {
        if (strcmp(options->settings[i].name, name) == 0) {
            return options->settings[i].value;
        }
    }
    return NULL;
}

/* ---- CONFIG GET ---- */

/* What is not in the settings, or changes: names that redis-benchmark and
 * clients ask for, and the durability of now. */
#define DERIVED_COUNT 3
static struct core_setting derived_setting(const struct call *call, size_t index)
{
    switch (index) {
    case 0:
        return (struct core_setting){"durability", config_durability(call)};
    case 1:
        return (struct core_setting){"save", ""};
    default:
        return (struct core_setting){
            "appendonly", *call->environment->durability == CORE_NO ? "no" : "yes"};
    }
}

static bool is_derived(const struct call *call, const char *name)
{
    for (size_t i = 0; i < DERIVED_COUNT; i++) {
        if (strcmp(derived_setting(call, i).name, name) == 0) {
            return true;
        }
    }
    return false;
}

static struct core_setting setting_at(const struct call *call, size_t index)
{
    return index < DERIVED_COUNT ? derived_setting(call, index)
                                 : call->environment->options->settings[index - DERIVED_COUNT];
}

/* True when a pattern asks for the setting and it is not given elsewhere. */
static bool is_asked(const struct call *call, size_t index, const char *name)
{
    if (index >= DERIVED_COUNT && is_derived(call, name)) {
        return false;
    }
    for (size_t i = 2; i < call->argument_count; i++) {
        if (glob_match(call->arguments[i], crdt_text(name), true)) {
            return true;
        }
    }
    return false;
}

enum crdt_status config_get(struct call *call)
{
    size_t total = DERIVED_COUNT + call->environment->options->setting_count;
    size_t count = 0;
    for (size_t i = 0; i < total; i++) {
        count += is_asked(call, i, setting_at(call, i).name);
    }
    enum crdt_status status = resp_array(call->reply, count * 2);
    for (size_t i = 0; i < total && status == CRDT_OK; i++) {
        struct core_setting setting = setting_at(call, i);
        if (is_asked(call, i, setting.name)) {
            status = resp_bulk(call->reply, crdt_text(setting.name));
            if (status == CRDT_OK) {
                status = resp_bulk(call->reply, crdt_text(setting.value));
            }
        }
    }
    return status;
}

/* ---- CONFIG SET ---- */

static bool is_known(const struct call *call, size_t index)
{
    for (size_t i = 0; i < DERIVED_COUNT + call->environment->options->setting_count; i++) {
        const char *name = setting_at(call, i).name;
        if (argument_is(call, index, name)) {
            return true;
        }
    }
    return false;
}

/* `durability` when argument `index` names one. */
static bool parse_durability(
    const struct call *call, size_t index, enum core_durability *ret_durability)
{
    for (size_t i = 0; i < DURABILITY_COUNT; i++) {
        if (argument_is(call, index, durability_names[i])) {
            *ret_durability = (enum core_durability)i;
            return true;
        }
    }
    return false;
}

static enum crdt_status set_failed(struct call *call, size_t index, const char *why)
{
    struct text text = {.size = 0};
    text_put(&text, "ERR CONFIG SET failed (possibly related to argument '");
    text_put_bytes(&text, call->arguments[index], 128);
    text_put(&text, "') - ");
    text_put(&text, why);
    return call_error(call, text_end(&text));
}

static enum crdt_status unknown_option(struct call *call, size_t index)
{
    struct text text = {.size = 0};
    text_put(&text, "ERR Unknown option or number of arguments for CONFIG SET - '");
    text_put_bytes(&text, call->arguments[index], 128);
    text_put(&text, "'");
    return call_error(call, text_end(&text));
}

enum crdt_status config_set(struct call *call)
{
    enum core_durability durability = *call->environment->durability;
    if (call->argument_count % 2 != 0) {
        return call_arity_error(call);
    }
    for (size_t i = 2; i < call->argument_count; i += 2) {
        if (!is_known(call, i)) {
            return unknown_option(call, i);
        }
        if (!argument_is(call, i, "durability")) {
            return set_failed(call, i, "can't set immutable config");
        }
        if (i > 2) {
            return set_failed(call, i, "duplicate parameter");
        }
        if (!parse_durability(call, i + 1, &durability)) {
            return set_failed(
                call, i, "argument(s) must be one of the following: always, everysec, no");
        }
    }
    *call->environment->durability = durability;
    return call_ok(call);
}

enum crdt_status config_resetstat(struct call *call)
{
    *call->environment->stats = (struct command_stats){.commands = 0};
    return call_ok(call);
}

enum crdt_status config_help(struct call *call)
{
    static const char *const lines[] = {
        "CONFIG <subcommand> [<arg> ...]. Subcommands are:",
        "GET <pattern> [<pattern> ...] -- settings whose names match.",
        "SET durability always|everysec|no -- holds from the next batch on.",
        "RESETSTAT -- sets the counters of INFO stats to 0.",
        NULL,
    };
    return help_reply(call, lines);
}
