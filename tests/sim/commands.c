/* The commands that random clients say, and what each means. The model knows the
 * keys c0 c1 (numbers), s0 s1 (sets), h0 h1 (hashes); under x0 .. x2 everything
 * happens at once, and only the reference document judges it. */
#include "tests/sim/simulator.h"

/* How many elements or fields the next command names. */
static uint64_t draw_portion(struct simulator *sim)
{
    return 1 + simulator_random(sim, sim->portion_max);
}

static void draw_number(
    struct simulator *sim, struct command *command, struct effect *effects, size_t *count)
{
    int key = (int)simulator_random(sim, 2);
    int64_t amount = (int64_t)simulator_random(sim, 100);
    struct effect effect = { .kind = EFFECT_ADD, .key = key, .value = amount };
    /* Some runs leave their counters alone: they grow until they are folded. */
    switch (simulator_random(sim, sim->has_long_counters ? 400 : 12)) {
    case 0:
        command_add(command, "SET");
        effect.kind = EFFECT_PUT;
        break;
    case 1:
        command_add(command, "DEL");
        command_add(command, "c%d", key);
        effects[(*count)++]
            = (struct effect){ .kind = EFFECT_REMOVE, .key = key, .field = FIELD_ANY };
        return;
    case 2:
    case 3:
        command_add(command, "GET");
        command_add(command, "c%d", key);
        return;
    case 4:
    case 5:
        command_add(command, "DECRBY");
        effect.value = -amount;
        break;
    case 6:
        command_add(command, "INCR");
        command_add(command, "c%d", key);
        effect.value = 1;
        effects[(*count)++] = effect;
        return;
    default: command_add(command, "INCRBY"); break;
    }
    command_add(command, "c%d", key);
    command_add(command, "%lld", (long long)amount);
    effects[(*count)++] = effect;
}

static void draw_set(
    struct simulator *sim, struct command *command, struct effect *effects, size_t *count)
{
    int key = (int)simulator_random(sim, 2);
    uint64_t choice = simulator_random(sim, 12);
    command_add(command, choice == 0 ? "DEL" : choice < 5 ? "SREM" : choice < 6 ? "SCARD" : "SADD");
    command_add(command, "s%d", key);
    struct effect effect = { .kind = choice < 5 ? EFFECT_REMOVE : EFFECT_PUT, .key = 2 + key,
        .field = FIELD_ANY };
    if (choice == 0)
        effects[(*count)++] = effect;
    if (choice == 0 || choice == 5)
        return;
    for (uint64_t left = draw_portion(sim); left > 0; left--) {
        effect.field = (int)simulator_random(sim, sim->field_count);
        command_add(command, "e%d", effect.field);
        effects[(*count)++] = effect;
    }
}

static void draw_hash(
    struct simulator *sim, struct command *command, struct effect *effects, size_t *count)
{
    int key = (int)simulator_random(sim, 2);
    struct effect effect = { .key = 4 + key, .field = (int)simulator_random(sim, sim->field_count),
        .value = (int64_t)simulator_random(sim, 1000) };
    uint64_t choice = simulator_random(sim, 12);
    if (choice == 0) {
        command_add(command, "DEL");
        command_add(command, "h%d", key);
        effect.kind = EFFECT_REMOVE;
        effect.field = FIELD_ANY;
        effects[(*count)++] = effect;
        return;
    }
    command_add(command, choice < 4 ? "HDEL" : choice < 8 ? "HINCRBY" : "HSET");
    effect.kind = choice < 4 ? EFFECT_REMOVE : choice < 8 ? EFFECT_ADD : EFFECT_PUT;
    command_add(command, "h%d", key);
    uint64_t portion = effect.kind == EFFECT_ADD ? 1 : draw_portion(sim);
    for (uint64_t left = portion; left > 0; left--) {
        command_add(command, "f%d", effect.field);
        if (choice >= 4)
            command_add(command, "%lld", (long long)effect.value);
        effects[(*count)++] = effect;
        effect.field = (int)simulator_random(sim, sim->field_count);
    }
}

static void draw_nested(struct simulator *sim, struct command *command)
{
    static const char *const operations[][2] = { { "SET", "v" }, { "INCR", "3" }, { "ADD", "e" },
        { "REM", "e" }, { "ENABLE", NULL }, { "DISABLE", NULL }, { "REMOVE", NULL } };
    command_add(command, "CRDT.UPDATE");
    command_add(command, "x%llu", (unsigned long long)simulator_random(sim, 3));
    uint64_t depth = simulator_random(sim, 3);
    command_add(command, "%llu", (unsigned long long)depth);
    for (; depth > 0; depth--)
        command_add(command, "p%llu", (unsigned long long)simulator_random(sim, 2));
    const char *const *operation = operations[simulator_random(sim, 7)];
    command_add(command, "%s", operation[0]);
    bool is_list = operation[0][0] == 'A' || operation[0][0] == 'R';
    uint64_t left = is_list && operation[1] != NULL ? draw_portion(sim) : 1;
    if (operation[1] != NULL && !is_list)
        command_add(command, "%s", operation[1]);
    for (; operation[1] != NULL && is_list && left > 0; left--)
        command_add(command, "%s%llu", operation[1],
            (unsigned long long)simulator_random(sim, sim->field_count));
}

static void draw_mixed(struct simulator *sim, struct command *command)
{
    static const char *const words[][3] = { { "SET", "abc", NULL }, { "SET", "10", NULL },
        { "INCR", NULL, NULL }, { "SADD", "e1", "e2" }, { "SPOP", NULL, NULL },
        { "HSET", "p0", "v" }, { "HDEL", "p0", NULL }, { "HINCRBY", "p1", "2" },
        { "DEL", NULL, NULL }, { "TYPE", NULL, NULL }, { "SREM", "e1", NULL } };
    const char *const *word = words[simulator_random(sim, sizeof words / sizeof words[0])];
    command_add(command, "%s", word[0]);
    command_add(command, "x%llu", (unsigned long long)simulator_random(sim, 3));
    for (size_t i = 1; i < 3 && word[i] != NULL; i++)
        command_add(command, "%s", word[i]);
}

void command_draw(struct simulator *sim, struct command *command, struct effect *effects,
    size_t *ret_effect_count)
{
    *ret_effect_count = 0;
    if (sim->has_flushall && simulator_chance(sim, 200)) {
        command_add(command, "FLUSHALL");
        effects[(*ret_effect_count)++] = (struct effect){ .kind = EFFECT_FLUSH };
        return;
    }
    switch (simulator_random(sim, 16)) {
    case 0:
        command_add(command, "ECHO");
        command_add(command, "%llx", (unsigned long long)simulator_random(sim, UINT64_MAX));
        break;
    case 1:
        command_add(command, "CRDT.DIGEST");
        break;
    case 2:
    case 3: draw_nested(sim, command); break;
    case 4:
    case 5: draw_mixed(sim, command); break;
    case 6:
    case 7:
    case 8: draw_set(sim, command, effects, ret_effect_count); break;
    case 9:
    case 10:
    case 11: draw_hash(sim, command, effects, ret_effect_count); break;
    default: draw_number(sim, command, effects, ret_effect_count); break;
    }
}
