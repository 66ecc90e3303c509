/* What the commands mean, said a second time and as simply as possible: a list
 * of effects, each with its name and what its author had seen; reading goes
 * over all of them. It knows nothing of the document.
 *
 * An effect kills what its author had seen. A contribution or a put lives while
 * no effect that covers it and is in the context had seen it. */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include "tests/sim/registry.h"

enum effect_kind {
    EFFECT_ADD,    /* INCR, DECR, HINCRBY: one contribution                    */
    EFFECT_PUT,    /* SET, HSET, SADD: a value; kills the field as seen        */
    EFFECT_REMOVE, /* DEL, HDEL, SREM: kills the field, or all fields, as seen */
    EFFECT_FLUSH,  /* FLUSHALL                                                 */
};

#define FIELD_ANY (-1)

struct effect {
    enum effect_kind kind;
    int key;
    int field;
    int64_t value;
};

/* One command or one EXEC that made records. */
struct model_transaction {
    size_t origin;
    uint64_t life;          /* of the node that made it: which of its starts     */
    uint64_t seq;           /* of its last record                              */
    struct vector observed; /* by its author before it, own open batch included */
    bool has_records;       /* else it only joined an increment of the open batch */
    size_t first_effect;
    size_t effect_count;
};

struct model {
    struct model_transaction *transactions;
    size_t transaction_count;
    size_t transaction_capacity;
    struct effect *effects;
    size_t effect_count;
    size_t effect_capacity;
};

void model_add(struct model *model, size_t origin, uint64_t life, uint64_t seq,
    bool has_records, const struct vector *observed, const struct effect *effects, size_t count);
/* Operations of `origin` above `kept` never happened: a crash undid them. */
void model_crash(struct model *model, size_t origin, uint64_t kept);
/* Operations of `from` above `seq` that this life of the node has made were not
 * sealed yet and are now of `to`. */
void model_move(struct model *model, size_t from, uint64_t life, uint64_t seq, size_t to);

/* What may be read at a place, given a context. */
struct model_value {
    bool exists;
    int64_t sum;         /* of the living contributions                         */
    int64_t bases[32];   /* the living puts: any of them may win                */
    size_t base_count;
};
struct model_value model_read(
    const struct model *model, const struct vector *context, int key, int field);
/* No effect in the context kills effect number `victim`, which is of `author`. */
bool model_lives(const struct model *model, const struct vector *context,
    const struct model_transaction *author, size_t victim);
/* The observed vector of the last transaction of `origin` up to `seq`, or NULL. */
const struct vector *model_observed(const struct model *model, size_t origin, uint64_t seq);
void model_close(struct model *model);

#endif
