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

bool model_lives(const struct model *model, const struct vector *context,
    const struct model_transaction *author, size_t victim)
{
    for (size_t i = 0; i < model->transaction_count; i++) {
        const struct model_transaction *killer = &model->transactions[i];
        if (killer->seq > context->seq[killer->origin])
            continue;
        if (killer != author && author->seq > killer->observed.seq[author->origin])
            continue;
        size_t end = killer->first_effect + killer->effect_count;
        size_t first = killer == author ? victim + 1 : killer->first_effect;
        for (size_t at = first; at < end; at++)
            if (model_covers(&model->effects[at], &model->effects[victim]))
                return false;
    }
    return true;
}

struct model_value model_read(
    const struct model *model, const struct vector *context, int key, int field)
{
    struct model_value value = { 0 };
    for (size_t i = 0; i < model->transaction_count; i++) {
        const struct model_transaction *author = &model->transactions[i];
        if (author->seq > context->seq[author->origin])
            continue;
        for (size_t at = author->first_effect; at < author->first_effect + author->effect_count;
             at++) {
            const struct effect *effect = &model->effects[at];
            bool is_content = effect->kind == EFFECT_ADD || effect->kind == EFFECT_PUT;
            if (!is_content || effect->key != key || effect->field != field
                || !model_lives(model, context, author, at))
                continue;
            value.exists = true;
            if (effect->kind == EFFECT_ADD)
                value.sum += effect->value;
            else if (value.base_count < sizeof value.bases / sizeof value.bases[0])
                value.bases[value.base_count++] = effect->value;
        }
    }
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
