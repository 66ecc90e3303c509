#include "tests/sim/model.h"

#include "tests/sim/array.h"

void model_add(struct model *model, size_t origin, uint64_t life, uint64_t seq,
    bool has_records, const struct vector *observed, const struct effect *effects, size_t count)
{
    model->transactions = array_reserve(model->transactions, model->transaction_count,
        &model->transaction_capacity, sizeof *model->transactions);
    model->transactions[model->transaction_count++] = (struct model_transaction){
        .origin = origin,
        .life = life,
        .seq = seq,
        .has_records = has_records,
        .observed = *observed,
        .first_effect = model->effect_count,
        .effect_count = count,
    };
    for (size_t i = 0; i < count; i++) {
        model->effects = array_reserve(
            model->effects, model->effect_count, &model->effect_capacity, sizeof *effects);
        model->effects[model->effect_count++] = effects[i];
    }
}

void model_crash(struct model *model, size_t origin, uint64_t kept)
{
    size_t left = 0;
    for (size_t i = 0; i < model->transaction_count; i++)
        if (model->transactions[i].origin != origin || model->transactions[i].seq <= kept)
            model->transactions[left++] = model->transactions[i];
    model->transaction_count = left;
}

void model_move(struct model *model, size_t from, uint64_t life, uint64_t seq, size_t to)
{
    for (size_t i = 0; i < model->transaction_count; i++) {
        struct model_transaction *moved = &model->transactions[i];
        if (moved->origin != from || moved->life != life || moved->seq <= seq)
            continue;
        moved->origin = to;
        moved->seq -= seq;
        if (moved->observed.seq[from] > seq) {
            moved->observed.seq[to] = moved->observed.seq[from] - seq;
            moved->observed.seq[from] = seq;
        }
    }
}

static bool model_covers(const struct effect *killer, const struct effect *victim)
{
    switch (killer->kind) {
    case EFFECT_ADD: return false;
    case EFFECT_FLUSH: return true;
    case EFFECT_PUT: return killer->key == victim->key && killer->field == victim->field;
    case EFFECT_REMOVE:
        return killer->key == victim->key
            && (killer->field == FIELD_ANY || killer->field == victim->field);
    }
    return false;
}

/* An effect that may end another, and its transaction. */
struct model_killer {
    const struct model_transaction *transaction;
    size_t at;
};

/* All effects in the context that cover the place of `sample`, in the order in
 * which they were added. The caller frees them. */
static struct model_killer *model_killers(const struct model *model, const struct vector *context,
    const struct effect *sample, size_t *ret_count)
{
    struct model_killer *killers = NULL;
    size_t count = 0, capacity = 0;
    for (size_t i = 0; i < model->transaction_count; i++) {
        const struct model_transaction *killer = &model->transactions[i];
        if (killer->seq > context->seq[killer->origin])
            continue;
        size_t end = killer->first_effect + killer->effect_count;
        for (size_t at = killer->first_effect; at < end; at++) {
            if (!model_covers(&model->effects[at], sample))
                continue;
            killers = array_reserve(killers, count, &capacity, sizeof *killers);
            killers[count++] = (struct model_killer){ killer, at };
        }
    }
    *ret_count = count;
    return killers;
}

/* None of the killers had seen effect number `victim`, which is of `author`. The
 * newest are asked first: most victims fall to one of them. */
static bool model_survives(const struct model_killer *killers, size_t count,
    const struct model_transaction *author, size_t victim)
{
    for (size_t i = count; i > 0; i--) {
        const struct model_killer *killer = &killers[i - 1];
        bool has_seen = killer->transaction == author
            ? killer->at > victim
            : author->seq <= killer->transaction->observed.seq[author->origin];
        if (has_seen)
            return false;
    }
    return true;
}

bool model_lives(const struct model *model, const struct vector *context,
    const struct model_transaction *author, size_t victim)
{
    size_t count = 0;
    struct model_killer *killers
        = model_killers(model, context, &model->effects[victim], &count);
    bool lives = model_survives(killers, count, author, victim);
    free(killers);
    return lives;
}

struct model_value model_read(
    const struct model *model, const struct vector *context, int key, int field)
{
    struct model_value value = { 0 };
    struct effect place = { .kind = EFFECT_PUT, .key = key, .field = field };
    size_t killer_count = 0;
    struct model_killer *killers = model_killers(model, context, &place, &killer_count);
    for (size_t i = 0; i < model->transaction_count; i++) {
        const struct model_transaction *author = &model->transactions[i];
        if (author->seq > context->seq[author->origin])
            continue;
        for (size_t at = author->first_effect; at < author->first_effect + author->effect_count;
             at++) {
            const struct effect *effect = &model->effects[at];
            bool is_content = effect->kind == EFFECT_ADD || effect->kind == EFFECT_PUT;
            if (!is_content || effect->key != key || effect->field != field
                || !model_survives(killers, killer_count, author, at))
                continue;
            value.exists = true;
            if (effect->kind == EFFECT_ADD)
                value.sum += effect->value;
            else if (value.base_count < sizeof value.bases / sizeof value.bases[0])
                value.bases[value.base_count++] = effect->value;
        }
    }
    free(killers);
    return value;
}

const struct vector *model_observed(const struct model *model, size_t origin, uint64_t seq)
{
    for (size_t i = model->transaction_count; i > 0; i--) {
        const struct model_transaction *transaction = &model->transactions[i - 1];
        if (transaction->origin == origin && transaction->seq <= seq && transaction->has_records)
            return &transaction->observed;
    }
    return NULL;
}

void model_close(struct model *model)
{
    free(model->transactions);
    free(model->effects);
    *model = (struct model){ 0 };
}
