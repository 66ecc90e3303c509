/* One shopping cart, two replicas: a phone and a laptop, two processes that
 * exchange deltas over pipes. A product is a map: quantity (counter), added-at
 * (register), tags (set). While they cannot talk, the phone removes the milk and
 * the laptop adds one more: exactly that one bottle stays.
 */
#include <crdt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct replica {
    const char *name;
    struct crdt_document *document;
    uint64_t now_ms; /* a program would ask its clock                           */
    int in, out;     /* pipes from and to the other                            */
};

static void check(enum crdt_status status, const char *what)
{
    if (status == CRDT_OK)
        return;
    fprintf(stderr, "cart: %s: %s\n", what, crdt_status_text(status));
    exit(1);
}

static void fail(const char *what)
{
    fprintf(stderr, "cart: %s\n", what);
    exit(1);
}

/* cart -> product -> field; only cart -> product when `field` is NULL. */
struct place {
    struct crdt_bytes keys[3];
    size_t count;
};

static struct crdt_path path_of(struct place *place, const char *product, const char *field)
{
    *place = (struct place){{crdt_text("cart"), crdt_text(product)}, 2};
    if (field != NULL)
        place->keys[place->count++] = crdt_text(field);
    return (struct crdt_path){place->keys, place->count};
}

static void add_product(struct replica *replica, const char *product, int64_t quantity,
    const char *added_at, const char *tag)
{
    struct crdt_transaction *transaction;
    struct place place;
    check(crdt_begin(replica->document, replica->now_ms++, &transaction), "begin");
    check(crdt_counter_add(transaction, path_of(&place, product, "quantity"), quantity),
        "quantity");
    check(crdt_register_set(transaction, path_of(&place, product, "added-at"),
              crdt_text(added_at)), "added-at");
    check(crdt_set_add(transaction, path_of(&place, product, "tags"), crdt_text(tag)), "tags");
    crdt_commit(transaction);
}

static void add_quantity(struct replica *replica, const char *product, int64_t quantity)
{
    struct crdt_transaction *transaction;
    struct place place;
    check(crdt_begin(replica->document, replica->now_ms++, &transaction), "begin");
    check(crdt_counter_add(transaction, path_of(&place, product, "quantity"), quantity),
        "quantity");
    crdt_commit(transaction);
}

static void remove_product(struct replica *replica, const char *product)
{
    struct crdt_transaction *transaction;
    struct place place;
    check(crdt_begin(replica->document, replica->now_ms++, &transaction), "begin");
    check(crdt_remove(transaction, path_of(&place, product, NULL), CRDT_MAP), "remove");
    crdt_commit(transaction);
}

static void write_all(int pipe_end, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        ssize_t written = write(pipe_end, bytes, size);
        if (written <= 0)
            fail("the other replica is gone");
        bytes += written;
        size -= (size_t)written;
    }
}

static void read_all(int pipe_end, void *data, size_t size)
{
    uint8_t *bytes = data;
    while (size > 0) {
        ssize_t got = read(pipe_end, bytes, size);
        if (got <= 0)
            fail("the other replica is gone");
        bytes += got;
        size -= (size_t)got;
    }
}

/* A message is its length and its bytes. */
static void send_message(struct replica *replica, struct crdt_bytes message)
{
    uint32_t size = (uint32_t)message.size;
    write_all(replica->out, &size, sizeof size);
    write_all(replica->out, message.data, message.size);
}

static uint8_t *receive_message(struct replica *replica, struct crdt_bytes *ret_message)
{
    uint32_t size;
    read_all(replica->in, &size, sizeof size);
    uint8_t *data = malloc(size + 1u);
    if (data == NULL)
        fail("out of memory");
    read_all(replica->in, data, size);
    *ret_message = (struct crdt_bytes){data, size};
    return data;
}

/* Both say what they have, both answer with what the other lacks. */
static void exchange(struct replica *replica)
{
    struct crdt_buffer summary, delta;
    struct crdt_bytes message;
    crdt_buffer_init(&summary, NULL);
    crdt_buffer_init(&delta, NULL);
    check(crdt_summary(replica->document, &summary), "summary");
    send_message(replica, crdt_buffer_bytes(&summary));
    uint8_t *theirs = receive_message(replica, &message);
    check(crdt_diff(replica->document, message, &delta), "diff");
    send_message(replica, crdt_buffer_bytes(&delta));
    free(theirs);
    theirs = receive_message(replica, &message);
    check(crdt_merge(replica->document, message), "merge");
    free(theirs);
    crdt_buffer_close(&summary);
    crdt_buffer_close(&delta);
}

static void print_tags(struct replica *replica, const char *product)
{
    struct place place;
    struct crdt_iterator iterator = crdt_iterate(replica->document,
        path_of(&place, product, "tags"), CRDT_SET, CRDT_ITERATOR_START);
    struct crdt_item item;
    while (crdt_next(&iterator, &item))
        printf(" %.*s", (int)item.key.size, (const char *)item.key.data);
}

static void print_product(struct replica *replica, const char *product)
{
    struct place place;
    struct crdt_path whole = path_of(&place, product, NULL);
    if (crdt_types(replica->document, whole) == 0) {
        printf("%s: no %s\n", replica->name, product);
        return;
    }
    int64_t quantity =
        crdt_counter_value(replica->document, path_of(&place, product, "quantity"));
    struct crdt_bytes added_at = crdt_text("never");
    (void)!crdt_register_get(
        replica->document, path_of(&place, product, "added-at"), &added_at);
    printf("%s: %s, quantity %lld, added %.*s, tags:", replica->name, product,
        (long long)quantity, (int)added_at.size, (const char *)added_at.data);
    print_tags(replica, product);
    printf("\n");
}

/* What each replica does; `is_phone` tells which one this is. */
static void shop(struct replica *replica, bool is_phone)
{
    if (is_phone)
        add_product(replica, "milk", 2, "Monday", "fresh");
    exchange(replica);
    if (is_phone) {
        remove_product(replica, "milk");
        add_product(replica, "bread", 1, "Tuesday", "baker");
    } else {
        add_quantity(replica, "milk", 1);
        add_product(replica, "eggs", 6, "Tuesday", "market");
    }
    exchange(replica);
    print_product(replica, "bread");
    print_product(replica, "eggs");
    print_product(replica, "milk");
    fflush(stdout);
}

/* Both must hold the same state, and be able to prove it. */
static void compare(struct replica *replica, bool is_phone)
{
    struct crdt_digest mine, theirs;
    check(crdt_digest(replica->document, &mine), "digest");
    write_all(replica->out, &mine, sizeof mine);
    read_all(replica->in, &theirs, sizeof theirs);
    if (memcmp(&mine, &theirs, sizeof mine) != 0)
        fail("the replicas differ");
    if (is_phone)
        printf("both hold the same state\n");
}

static void run(const char *name, uint8_t key, int in, int out)
{
    struct replica replica = {.name = name, .now_ms = 1000, .in = in, .out = out};
    struct crdt_options options;
    crdt_options_init(&options);
    memset(options.key, key, sizeof options.key);
    options.generation = key;
    check(crdt_open(&options, &replica.document), "open");
    shop(&replica, key == 1);
    compare(&replica, key == 1);
    crdt_close(replica.document);
}

int main(void)
{
    int to_laptop[2], to_phone[2];
    if (pipe(to_laptop) != 0 || pipe(to_phone) != 0)
        fail("no pipe");
    pid_t laptop = fork();
    if (laptop < 0)
        fail("no second process");
    if (laptop == 0) {
        close(to_laptop[1]);
        close(to_phone[0]);
        run("laptop", 2, to_laptop[0], to_phone[1]);
        return 0;
    }
    close(to_laptop[0]);
    close(to_phone[1]);
    run("phone", 1, to_phone[0], to_laptop[1]);
    int status;
    return waitpid(laptop, &status, 0) == laptop && status == 0 ? 0 : 1;
}
