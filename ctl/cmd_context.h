/*
 * cmd_context - `lbctl context list|use|add|remove`: which lbd is meant.
 *
 *     lbctl context add shop --url https://lb1.example.com:9443 --ca shop-ca.pem --token-file -
 *     lbctl context use shop
 *
 * Threads: one.
 */
#ifndef CTL_CMD_CONTEXT_H
#define CTL_CMD_CONTEXT_H

#include "ctl/ctl.h"

enum ctl_exit cmd_context_list(struct ctl *ctl);
enum ctl_exit cmd_context_use(struct ctl *ctl);
enum ctl_exit cmd_context_add(struct ctl *ctl);
enum ctl_exit cmd_context_remove(struct ctl *ctl);

#endif
