// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A library without a package of types, which the examples use.

declare module 'gi://GLibUnix' {
    const GLibUnix: any;
    export default GLibUnix;
}
