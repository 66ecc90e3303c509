/* The log floor, and what is dropped to raise it. See database_floor.h. */
#include "gossipd/host/store/database_floor.h"

#include <assert.h>
#include <stdlib.h>

#include "gossipd/core/memory.h"
#include "gossipd/host/store/database_schema.h"
#include "gossipd/limits.h"

#define SNAPSHOTS_MAX 4 /* rows at a time: the newest one, and one on its way in   */

bool database_floor_open(sqlite3 *handle)
{
    return sql_ensure_table(handle, "floor", SCHEMA_FLOOR);
}

bool database_floor_raise(sqlite3 *handle, const struct crdt_dot *dot)
{
    assert(dot->seq > 0);
    sqlite3_stmt *statement = sql_prepare(handle,
        "INSERT INTO floor (key, generation, seq) VALUES (?1, ?2, ?3) "
        "ON CONFLICT (key, generation) DO UPDATE SET seq = max(seq, excluded.seq)");
    sql_bind_origin(statement, &dot->origin);
    sqlite3_bind_int64(statement, 3, (int64_t)dot->seq);
    return sql_finish(statement);
}

bool database_floor_of(
    sqlite3 *handle, const struct crdt_origin *origin, uint64_t *ret_seq)
{
    int64_t seq = 0;
    sqlite3_stmt *statement = sql_prepare(handle,
        "SELECT coalesce(max(seq), 0) FROM floor WHERE key = ?1 AND generation = ?2");
    sql_bind_origin(statement, origin);
    bool is_read = sql_number(statement, &seq);
    *ret_seq = (uint64_t)seq;
    return is_read;
}

static int compare_dots(const void *a, const void *b)
{
    const struct crdt_dot *one = a;
    const struct crdt_dot *other = b;
    return crdt_origin_compare(&one->origin, &other->origin);
}

/* Reads the rows into `dots`, which has room for `capacity`. */
static bool read_dots(
    sqlite3 *handle, struct crdt_dot *dots, size_t capacity, size_t *ret_count)
{
    sqlite3_stmt *statement = sql_prepare(handle, "SELECT key, generation, seq FROM floor");
    size_t count = 0;
    int code = statement != NULL ? sqlite3_step(statement) : SQLITE_ERROR;
    while (code == SQLITE_ROW && count < capacity &&
        sql_fixed(statement, 0, dots[count].origin.key, CRDT_KEY_BYTES)) {
        dots[count].origin.generation = (uint64_t)sqlite3_column_int64(statement, 1);
        dots[count].seq = (uint64_t)sqlite3_column_int64(statement, 2);
        count++;
        code = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    *ret_count = count;
    return code == SQLITE_DONE;
}

bool database_floor_read(
    sqlite3 *handle, struct crdt_buffer *ret_summary, size_t *ret_count)
{
    int64_t rows = 0;
    if (!sql_number(sql_prepare(handle, "SELECT count(*) FROM floor"), &rows)) {
        return false;
    }
    size_t capacity = (size_t)rows;
    /* From the buffer's memory, whose owner may have to tell its lack from damage. */
    struct crdt_dot *dots = memory_new(&ret_summary->memory, (capacity + 1) * sizeof *dots);
    size_t count = 0;
    bool is_read = dots != NULL && read_dots(handle, dots, capacity, &count);
    if (is_read) {
        qsort(dots, count, sizeof *dots, compare_dots);
        is_read = crdt_summary_write(dots, count, ret_summary) == CRDT_OK;
        *ret_count = count;
    }
    memory_free(&ret_summary->memory, dots, (capacity + 1) * sizeof *dots);
    return is_read;
}

/* ---- Dropping ---------------------------------------------------------------- */

/* A snapshot's row knows how many bytes lie before its place. */
struct place {
    int64_t id;
    int64_t place;
    uint64_t dropped_bytes;
};

struct dropping {
    sqlite3 *handle;
    const struct core_drop *drop;
    struct core_drop_head *heads; /* one for each feed that has batches            */
    size_t *sizes;                /* their bytes; parallel to `heads`              */
    uint64_t *dropped;            /* up to which seq, of each feed of `drop`; 0: none */
    size_t count;
    sqlite3_stmt *head;
    sqlite3_stmt *remove;
    struct place places[SNAPSHOTS_MAX];
    size_t place_count;
};

/* Looks up the oldest batch of a feed for heads[at]; `ret_is_there`: it has one. */
static bool head_read(struct dropping *dropping, size_t feed, size_t at, bool *ret_is_there)
{
    sqlite3_stmt *statement = dropping->head;
    sql_bind_origin(statement, &dropping->drop->feeds[feed].origin);
    int code = sqlite3_step(statement);
    *ret_is_there = code == SQLITE_ROW;
    if (code == SQLITE_ROW) {
        dropping->heads[at] = (struct core_drop_head){.feed = feed,
            .place = (uint64_t)sqlite3_column_int64(statement, 0),
            .last_seq = (uint64_t)sqlite3_column_int64(statement, 1),
            .applied_ms = (uint64_t)sqlite3_column_int64(statement, 2)};
        dropping->sizes[at] = (size_t)sqlite3_column_int64(statement, 3);
    }
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

static bool heads_read(struct dropping *dropping)
{
    for (size_t feed = 0; feed < dropping->drop->feed_count; feed++) {
        bool is_there = false;
        if (!head_read(dropping, feed, dropping->count, &is_there)) {
            return false;
        }
        dropping->count += is_there ? 1 : 0;
    }
    return true;
}

static bool places_read(struct dropping *dropping)
{
    sqlite3_stmt *statement = sql_prepare(dropping->handle, "SELECT id, place FROM snapshot");
    int code = statement != NULL ? sqlite3_step(statement) : SQLITE_ERROR;
    while (code == SQLITE_ROW && dropping->place_count < SNAPSHOTS_MAX) {
        dropping->places[dropping->place_count++] =
            (struct place){.id = sqlite3_column_int64(statement, 0),
                .place = sqlite3_column_int64(statement, 1)};
        code = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE;
}

/* Drops the batch that heads[at] stands for and looks up the next one of its
 * feed. */
static bool head_drop(struct dropping *dropping, size_t at, uint64_t *log_bytes)
{
    const struct core_drop_head head = dropping->heads[at];
    size_t size = dropping->sizes[at];
    bool is_there = false;
    sqlite3_bind_int64(dropping->remove, 1, (int64_t)head.place);
    bool is_done = sqlite3_step(dropping->remove) == SQLITE_DONE;
    sqlite3_reset(dropping->remove);
    *log_bytes -= size < *log_bytes ? size : *log_bytes;
    for (size_t i = 0; i < dropping->place_count; i++) {
        if ((int64_t)head.place <= dropping->places[i].place) {
            dropping->places[i].dropped_bytes += size;
        }
    }
    if (dropping->drop->feeds[head.feed].floor < head.last_seq) {
        dropping->drop->feeds[head.feed].floor = head.last_seq;
        dropping->dropped[head.feed] = head.last_seq;
    }
    is_done = is_done && head_read(dropping, head.feed, at, &is_there);
    if (is_done && !is_there) {
        dropping->count--;
        dropping->heads[at] = dropping->heads[dropping->count];
        dropping->sizes[at] = dropping->sizes[dropping->count];
    }
    return is_done;
}

/* Writes down what the dropping amounts to. */
static bool note(const struct dropping *dropping)
{
    bool is_done = true;
    for (size_t feed = 0; is_done && feed < dropping->drop->feed_count; feed++) {
        if (dropping->dropped[feed] > 0) {
            const struct crdt_dot dot = {
                dropping->drop->feeds[feed].origin, dropping->dropped[feed]};
            is_done = database_floor_raise(dropping->handle, &dot);
        }
    }
    for (size_t i = 0; is_done && i < dropping->place_count; i++) {
        const struct place *place = &dropping->places[i];
        sqlite3_stmt *statement = sql_prepare(dropping->handle,
            "UPDATE snapshot SET log_bytes = max(log_bytes - ?2, 0) WHERE id = ?1");
        sqlite3_bind_int64(statement, 1, place->id);
        sqlite3_bind_int64(statement, 2, (int64_t)place->dropped_bytes);
        is_done = sql_finish(statement);
    }
    return is_done;
}

static bool drop_all(struct dropping *dropping, uint64_t *log_bytes, bool *ret_has_more)
{
    *ret_has_more = false;
    if (!heads_read(dropping) || !places_read(dropping)) {
        return false;
    }
    for (size_t rows = 0; !*ret_has_more; rows++) {
        size_t at =
            core_drop_choose(dropping->drop, dropping->heads, dropping->count, *log_bytes);
        if (at == dropping->count) {
            break;
        }
        *ret_has_more = rows == DROP_ROWS;
        if (!*ret_has_more && !head_drop(dropping, at, log_bytes)) {
            return false;
        }
    }
    return note(dropping);
}

bool database_floor_drop(sqlite3 *handle, const struct core_drop *drop,
    const struct crdt_memory *memory, uint64_t *log_bytes, bool *ret_has_more)
{
    size_t room = drop->feed_count + 1;
    struct dropping dropping = {.handle = handle, .drop = drop};
    dropping.heads = memory_new(memory, room * sizeof *dropping.heads);
    dropping.sizes = memory_new(memory, room * sizeof *dropping.sizes);
    dropping.dropped = memory_new(memory, room * sizeof *dropping.dropped);
    dropping.head = sql_prepare(handle,
        "SELECT place, last, applied_ms, length(bytes) FROM batch WHERE key = ?1 AND "
        "generation = ?2 ORDER BY first LIMIT 1");
    dropping.remove = sql_prepare(handle, "DELETE FROM batch WHERE place = ?1");
    bool is_done = dropping.heads != NULL && dropping.sizes != NULL &&
        dropping.dropped != NULL && dropping.head != NULL && dropping.remove != NULL &&
        drop_all(&dropping, log_bytes, ret_has_more);
    sqlite3_finalize(dropping.head);
    sqlite3_finalize(dropping.remove);
    memory_free(memory, dropping.heads, room * sizeof *dropping.heads);
    memory_free(memory, dropping.sizes, room * sizeof *dropping.sizes);
    memory_free(memory, dropping.dropped, room * sizeof *dropping.dropped);
    return is_done;
}
