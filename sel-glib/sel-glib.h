/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <sel-glib/sel-async.h>
#include <sel-glib/sel-base-selector.h>
#include <sel-glib/sel-default-selector.h>
#include <sel-glib/sel-devpoll-selector.h>
#include <sel-glib/sel-enum-types.h>
#include <sel-glib/sel-epoll-selector.h>
#include <sel-glib/sel-error.h>
#include <sel-glib/sel-file-object.h>
#include <sel-glib/sel-kqueue-selector.h>
#include <sel-glib/sel-main-context.h>
#include <sel-glib/sel-poll-selector.h>
#include <sel-glib/sel-select-selector.h>
#include <sel-glib/sel-selector-event.h>
#include <sel-glib/sel-selector-key.h>
#include <sel-glib/sel-selector-mapping.h>
#include <sel-glib/sel-source.h>
#include <sel-glib/sel-types.h>
#include <sel-glib/sel-version-macros.h>
#include <sel-glib/sel-version.h>
