/* Redis strings as register + counter; see value.h. */
#include "gossipd/core/commands/value.h"

#include "gossipd/limits.h"
#include "gossipd/wire/number.h"
#include "gossipd/wire/resp.h"

/* The number that contributions count from: 0 without a base. False when there
 * is a base that is no canonical int64. */
static bool base_number(struct crdt_document *document, struct crdt_path path, unsigned types,
    struct crdt_bytes *ret_base, int64_t *ret_number)
{
    *ret_base = (struct crdt_bytes){NULL, 0};
    *ret_number = 0;
    if ((types & TYPE_BIT(CRDT_REGISTER)) == 0
        || crdt_register_get(document, path, ret_base) != CRDT_OK) {
        return true;
    }
    return number_parse(*ret_base, ret_number);
}

bool value_read(const struct call *call, struct crdt_path path, struct value *ret_value)
{
    struct crdt_document *document = call->environment->document;
    unsigned types = crdt_types(document, path);
    int64_t base;
    if ((types & TYPES_STRING) == 0) {
        return false;
    }
    if ((types & TYPE_BIT(CRDT_COUNTER)) == 0) {
        return crdt_register_get(document, path, &ret_value->bytes) == CRDT_OK;
    }
    if (base_number(document, path, types, &ret_value->bytes, &base)) {
        struct crdt_sum sum = crdt_counter_sum(document, path, CRDT_COUNTER);
        ret_value->bytes.size = crdt_sum_text(crdt_sum_add(sum, base), ret_value->text);
        ret_value->bytes.data = ret_value->text;
    }
    return true;
}

enum crdt_status value_reply(struct call *call, struct crdt_path path)
{
    struct value value;
    return value_read(call, path, &value) ? resp_bulk(call->reply, value.bytes)
                                          : resp_null(call->reply);
}

enum crdt_status value_assign(struct call *call, struct crdt_path path, struct crdt_bytes bytes)
{
    struct crdt_transaction *transaction;
    unsigned types = call_types(call, path);
    enum crdt_status status = call_write(call, &transaction);
    /* The assignment kills the register's own versions; anything else there
     * goes by one removal of all types. */
    if (status == CRDT_OK && (types & ~TYPE_BIT(CRDT_REGISTER)) != 0) {
        status = crdt_remove(transaction, path, CRDT_ANY);
    }
    if (status == CRDT_OK) {
        status = crdt_register_set(transaction, path, bytes);
    }
    return status;
}

/* Folding is asked for at every 64th contribution only (FOLD_COUNT): asking costs
 * O(their number), and beside contributions that may not be folded yet it is in vain.
 * An increment that shares the open batch's contribution does not ask again. */
static bool is_fold_due(const struct call *call, size_t count_before, size_t count)
{
    return count != count_before && count % call->environment->folds.count == 0;
}

static enum crdt_status fold(
    struct call *call, struct crdt_transaction *transaction, struct crdt_path path)
{
    const struct command_environment *environment = call->environment;
    const struct fold_bounds *folds = &environment->folds;
    enum crdt_status status
        = crdt_counter_fold(transaction, path, CRDT_COUNTER, 0, folds->exact_seq);
    if (status != CRDT_OK || folds->run_seq <= folds->run_after) {
        return status;
    }
    size_t count = crdt_open_folds(environment->document);
    status = crdt_counter_fold(
        transaction, path, CRDT_COUNTER, folds->run_after, folds->run_seq);
    if (environment->has_folded_run != NULL && crdt_open_folds(environment->document) > count) {
        *environment->has_folded_run = true;
    }
    return status;
}

enum crdt_status value_increment(
    struct call *call, struct crdt_path path, int64_t amount, const char *not_integer)
{
    struct crdt_document *document = call->environment->document;
    unsigned types = call_types(call, path);
    struct crdt_bytes bytes;
    int64_t base;
    int64_t result;
    if (types_are_wrong(types, TYPES_STRING)) {
        return call_wrong_type(call);
    }
    if (!base_number(document, path, types, &bytes, &base)) {
        return call_error(call, not_integer);
    }
    struct crdt_sum sum = crdt_counter_sum(document, path, CRDT_COUNTER);
    if (crdt_sum_int64(crdt_sum_add(crdt_sum_add(sum, base), amount), &result) != CRDT_OK) {
        return call_error(call, "ERR increment or decrement would overflow");
    }
    struct crdt_transaction *transaction;
    size_t count_before = crdt_count(document, path, CRDT_COUNTER);
    enum crdt_status status = call_write(call, &transaction);
    if (status == CRDT_OK) {
        status = crdt_counter_add(transaction, path, amount);
    }
    size_t count = crdt_count(document, path, CRDT_COUNTER);
    if (status == CRDT_OK && is_fold_due(call, count_before, count)) {
        status = fold(call, transaction, path);
    }
    return status == CRDT_OK ? resp_integer(call->reply, result) : status;
}
