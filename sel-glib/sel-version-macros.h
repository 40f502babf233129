/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#ifndef _SEL_EXTERN
#define _SEL_EXTERN extern
#endif

/* Symbols are hidden unless their declaration says since when they are available. */
#define SEL_AVAILABLE_IN_1_0 _SEL_EXTERN
