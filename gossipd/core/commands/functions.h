/* Every command's function, by the file that holds it. */
#ifndef GOSSIPD_CORE_COMMANDS_FUNCTIONS_H
#define GOSSIPD_CORE_COMMANDS_FUNCTIONS_H

#include "gossipd/core/commands/call.h"

command_function session_multi, session_exec, session_discard;

command_function strings_get, strings_set, strings_mget, strings_mset, strings_strlen;
command_function strings_incr, strings_incrby, strings_decr, strings_decrby;

command_function sets_add, sets_remove, sets_is_member, sets_members, sets_count, sets_pop;

command_function hashes_set, hashes_get, hashes_delete, hashes_get_all, hashes_count;
command_function hashes_increment;

command_function keys_delete, keys_exist, keys_type, keys_match, keys_scan, keys_count;
command_function keys_flush;

command_function server_ping, server_echo, server_quit, server_hello, server_select, server_auth;
command_function server_time;

command_function client_id, client_getname, client_setname, client_setinfo, client_info;
command_function client_list, client_help;

command_function config_get, config_set, config_resetstat, config_help;

command_function info_all;

command_function command_all, command_count, command_info, command_docs, command_list;
command_function command_help;

command_function crdt_backup, crdt_digest_reply, crdt_forks_reply, crdt_status_reply;
command_function crdt_unfreeze, update_run, render_get;

#endif
