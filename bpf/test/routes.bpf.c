// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* No program: the tables of routes and sources, without what reads them. */
#include "../include/km_route_tables.h"
#include "../include/km_source.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
