// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Never loaded: types that no map names reach BTF only when a variable has them, and the codecs are made from
 * BTF. */
#include "km_flow.h"

struct km_event km_layout_event;
struct km_request_event km_layout_request_event;
struct km_route_question km_layout_route_question;
enum km_policy km_layout_policy;
enum km_hash km_layout_hash;
enum km_listener_mode km_layout_listener_mode;
enum km_direction km_layout_direction;
enum km_reason km_layout_reason;
enum km_counter km_layout_counter;
enum km_conn_flags km_layout_conn_flags;
enum km_flow_flags km_layout_flow_flags;
enum km_half_flags km_layout_half_flags;
enum km_half_state km_layout_half_state;
enum km_wire_state km_layout_wire_state;
