// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The types of `gi://Sel` for TypeScript and for editors, as the typelib and its override Sel.js provide them together.
// They use the types of GLib, GObject and Gio from the packages @girs/glib-2.0, @girs/gobject-2.0 and @girs/gio-2.0. A
// test compares the names here with the typelib and the override.

declare module 'gi://Sel?version=1.0' {
    import type Gio from 'gi://Gio?version=2.0';
    import GLib from 'gi://GLib?version=2.0';
    import GObject from 'gi://GObject?version=2.0';

    namespace Sel {
        const __name__: string;
        const __version__: string;

        /** The version of the library for which the typelib was made. */
        const MAJOR_VERSION: number;
        const MINOR_VERSION: number;
        const MICRO_VERSION: number;

        /** A timeout without a limit. */
        const WAIT_FOREVER: number;

        /** What a file object is registered for, and what it is ready for. The values can be combined with `|`. */
        enum EventMask {
            READ = 1,
            WRITE = 2,
        }
        namespace EventMask {
            const $gtype: GObject.GType<EventMask>;
        }

        /** What a main loop does with a descriptor whose callback ignores a hang-up. */
        enum HangupPolicy {
            THROTTLE = 0,
            REPORT = 1,
            ONCE = 2,
        }
        namespace HangupPolicy {
            const $gtype: GObject.GType<HangupPolicy>;
        }

        /** An error of the library. An error of the system is a GLib.Error of the domain os_error_domain(). */
        class SelectorError extends GLib.Error {
            static $gtype: GObject.GType<SelectorError>;
            static readonly FAILED: number;
            static readonly NOT_REGISTERED: number;
            static readonly ALREADY_REGISTERED: number;
            static readonly INVALID_FILE: number;
            static readonly INVALID_EVENTS: number;
            static readonly INVALID_TIMEOUT: number;
            static readonly CLOSED: number;
            static readonly NOT_SUPPORTED: number;
            static readonly BUSY: number;
            static readonly FORKED: number;
            constructor(options: {message: string; code: number});
            static quark(): GLib.Quark;
        }

        /** A descriptor, or an object that has one: a socket, a connection, a stream, a GLib.IOChannel and so on. */
        type FileLike = number | GObject.Object | {fileno(): number} | {get_fd(): number} | {unix_get_fd(): number};

        /** The interface for classes whose objects have a descriptor. */
        interface FileObject extends GObject.Object {
            fileno(): number;
            vfunc_query_fd(): [success: boolean, fd: number];
        }
        const FileObject: {$gtype: GObject.GType<FileObject>} & (abstract new () => FileObject);

        /**
         * A callback in a main loop. If it returns false, the registration ends (register_callback(), set_callback())
         * or the source is removed (attach(), create_dispatch_source()). It must not be async.
         */
        type SelectorFunc = (selector: BaseSelector, key: SelectorKey, events: EventMask) => boolean;

        /** One registration. It never changes: modify() returns another key. */
        class SelectorKey<F = any, D = any> {
            static $gtype: GObject.GType<SelectorKey>;
            private constructor();
            readonly fileobj: F;
            readonly fd: number;
            readonly events: EventMask;
            readonly data: D;
            get_fileobj(): F;
            get_fd(): number;
            get_events(): EventMask;
            get_data(): D;
        }

        /** A file object that is ready: the pair [key, events]. */
        type SelectorEvent<F = any, D = any> = [key: SelectorKey<F, D>, events: EventMask] & {
            get_key(): SelectorKey<F, D>;
            get_events(): EventMask;
        };
        const SelectorEvent: {$gtype: GObject.GType<SelectorEvent>} & (abstract new () => SelectorEvent);

        /** A live view of the keys of a selector, by descriptor or file object. */
        class SelectorMapping {
            static $gtype: GObject.GType<SelectorMapping>;
            private constructor();
            get size(): number;
            has(fileobj: FileLike): boolean;
            get<F extends FileLike>(fileobj: F): SelectorKey | undefined;
            keys(): IterableIterator<number>;
            values(): IterableIterator<SelectorKey>;
            entries(): IterableIterator<[fd: number, key: SelectorKey]>;
            forEach(func: (key: SelectorKey, fd: number, map: SelectorMapping) => void, thisArg?: unknown): void;
            [Symbol.iterator](): IterableIterator<[fd: number, key: SelectorKey]>;
            get_size(): number;
            contains(fileobj: FileLike): boolean;
            lookup(fileobj: FileLike): SelectorKey | null;
            lookup_object(fileobj: FileLike): SelectorKey | null;
            get_keys(): SelectorKey[];
        }

        namespace BaseSelector {
            interface SignalSignatures extends GObject.Object.SignalSignatures {
                'notify::closed': (pspec: GObject.ParamSpec) => void;
                'notify::map': (pspec: GObject.ParamSpec) => void;
                'notify::can-recurse': (pspec: GObject.ParamSpec) => void;
                'notify::emulate-always-ready': (pspec: GObject.ParamSpec) => void;
                'notify::force-mirrored': (pspec: GObject.ParamSpec) => void;
                'notify::hangup-policy': (pspec: GObject.ParamSpec) => void;
                'notify::interruptible': (pspec: GObject.ParamSpec) => void;
                'notify::max-dispatch': (pspec: GObject.ParamSpec) => void;
            }

            interface ConstructorProps extends GObject.Object.ConstructorProps {
                can_recurse: boolean;
                canRecurse: boolean;
                emulate_always_ready: boolean;
                emulateAlwaysReady: boolean;
                force_mirrored: boolean;
                forceMirrored: boolean;
                hangup_policy: HangupPolicy;
                hangupPolicy: HangupPolicy;
                interruptible: boolean;
                max_dispatch: number;
                maxDispatch: number;
            }
        }

        /** Waits for many descriptors. Timeouts are in seconds. */
        abstract class BaseSelector extends GObject.Object {
            static $gtype: GObject.GType<BaseSelector>;
            $signals: BaseSelector.SignalSignatures;
            constructor(properties?: Partial<BaseSelector.ConstructorProps>, ...args: any[]);
            _init(...args: any[]): void;

            get closed(): boolean;
            get map(): SelectorMapping | null;
            get can_recurse(): boolean;
            set can_recurse(value: boolean);
            get canRecurse(): boolean;
            set canRecurse(value: boolean);
            get emulate_always_ready(): boolean;
            set emulate_always_ready(value: boolean);
            get emulateAlwaysReady(): boolean;
            set emulateAlwaysReady(value: boolean);
            get force_mirrored(): boolean;
            set force_mirrored(value: boolean);
            get forceMirrored(): boolean;
            set forceMirrored(value: boolean);
            get hangup_policy(): HangupPolicy;
            set hangup_policy(value: HangupPolicy);
            get hangupPolicy(): HangupPolicy;
            set hangupPolicy(value: HangupPolicy);
            get interruptible(): boolean;
            set interruptible(value: boolean);
            get max_dispatch(): number;
            set max_dispatch(value: number);
            get maxDispatch(): number;
            set maxDispatch(value: number);
            get_can_recurse(): boolean;
            set_can_recurse(can_recurse: boolean): void;
            get_emulate_always_ready(): boolean;
            set_emulate_always_ready(emulate_always_ready: boolean): void;
            get_force_mirrored(): boolean;
            set_force_mirrored(force_mirrored: boolean): void;
            get_hangup_policy(): HangupPolicy;
            set_hangup_policy(hangup_policy: HangupPolicy): void;
            get_interruptible(): boolean;
            set_interruptible(interruptible: boolean): void;
            get_max_dispatch(): number;
            set_max_dispatch(max_dispatch: number): void;

            /** Registers a file object. The data is any value, null by default. */
            register<F extends FileLike, D = null>(fileobj: F, events: EventMask, data?: D): SelectorKey<F, D>;
            register_object<F extends FileLike, D = null>(fileobj: F, events: EventMask, data?: D): SelectorKey<F, D>;

            /** Registers a file object with a function that a main loop calls when the file object is ready. */
            register_callback<F extends FileLike>(fileobj: F, events: EventMask, func: SelectorFunc):
                SelectorKey<F, null>;
            register_object_callback<F extends FileLike>(fileobj: F, events: EventMask, func: SelectorFunc):
                SelectorKey<F, null>;

            /** Sets the function of a registered file object. With null, the function of the source is called. */
            set_callback(fileobj: FileLike, func?: SelectorFunc | null): void;

            /** Changes events and data. The file object of the key is the registered one. */
            modify<D = null>(fileobj: FileLike, events: EventMask, data?: D): SelectorKey<any, D>;
            modify_object<D = null>(fileobj: FileLike, events: EventMask, data?: D): SelectorKey<any, D>;

            /** Changes the events, and keeps the data. */
            modify_events(fileobj: FileLike, events: EventMask): SelectorKey;

            /** Ends a registration. It also finds file objects that were closed after they were registered. */
            unregister(fileobj: FileLike): SelectorKey;
            unregister_object(fileobj: FileLike): SelectorKey;

            /** Tells the kernel about a registration again, after the descriptor was opened for another file. */
            refresh(fileobj: FileLike): void;

            /** The key of a file object. Throws SelectorError.NOT_REGISTERED. */
            get_key(fileobj: FileLike): SelectorKey;
            get_key_object(fileobj: FileLike): SelectorKey;

            /** The registered keys, or null after close(). */
            get_map(): SelectorMapping | null;

            /** The keys of descriptors that were closed without being unregistered. */
            check(): SelectorKey[];
            [Symbol.iterator](): IterableIterator<SelectorKey>;

            /** Waits until a file object is ready. By default the wait has no limit; 0 does not wait. */
            select(timeout?: number | null, cancellable?: Gio.Cancellable | null): SelectorEvent[];

            /** Like select(), with the descriptors and the events in two arrays. It may return early and empty. */
            select_fds(timeout: number, cancellable: Gio.Cancellable | null):
                [success: boolean, fds: number[], masks: Uint8Array];

            /** Waits without blocking the main loop. */
            select_async(timeout?: number | null, io_priority?: number, cancellable?: Gio.Cancellable | null):
                Promise<SelectorEvent[]>;
            select_async(timeout: number | null, io_priority: number, cancellable: Gio.Cancellable | null,
                callback: Gio.AsyncReadyCallback<this> | null): void;
            select_finish(result: Gio.AsyncResult): SelectorEvent[];

            /** Waits with select_async() for each turn of `for await`. close() ends the loop. */
            [Symbol.asyncIterator](): AsyncGenerator<SelectorEvent[], void, undefined>;

            /** Ends the current or the next wait. Any thread may call it. */
            wakeup(): void;

            /** Adds the selector to a main context, by default to the default one. Returns the id of the source. */
            attach(context?: GLib.MainContext | null, priority?: number, func?: SelectorFunc | null): number;

            /** A source that calls the callbacks of the descriptors, and the function for all others. */
            create_dispatch_source(func?: SelectorFunc | null): GLib.Source;

            /** A source that is ready when a file object is. Its callback has no arguments. */
            create_source(): GLib.Source;

            close(): void;
            is_closed(): boolean;

            /** Opens the selector in a child process after fork(). */
            reinit(): boolean;

            /** For vfunc_wait() only: reports that a descriptor is ready. */
            report(fd: number, events: EventMask): void;

            vfunc_open(): boolean;
            vfunc_update(fd: number, old_events: EventMask, new_events: EventMask): boolean;
            vfunc_wait(timeout: number): boolean;
            vfunc_release(forked: boolean): void;
        }

        class SelectSelector extends BaseSelector {
            static $gtype: GObject.GType<SelectSelector>;
            static ['new'](): SelectSelector;
            static is_supported(): boolean;
        }

        class PollSelector extends BaseSelector {
            static $gtype: GObject.GType<PollSelector>;
            static ['new'](): PollSelector;
            static is_supported(): boolean;
        }

        class EpollSelector extends BaseSelector {
            static $gtype: GObject.GType<EpollSelector>;
            static ['new'](): EpollSelector;
            static is_supported(): boolean;
            get fd(): number;
            get_fd(): number;
        }

        class DevpollSelector extends BaseSelector {
            static $gtype: GObject.GType<DevpollSelector>;
            static ['new'](): DevpollSelector;
            static is_supported(): boolean;
            get fd(): number;
            get_fd(): number;
        }

        class KqueueSelector extends BaseSelector {
            static $gtype: GObject.GType<KqueueSelector>;
            static ['new'](): KqueueSelector;
            static is_supported(): boolean;
            get fd(): number;
            get_fd(): number;
        }

        /** The best of the classes above that the system supports. */
        class DefaultSelector extends BaseSelector {
            static $gtype: GObject.GType<BaseSelector>;
            static ['new'](): DefaultSelector;
            static is_supported(): boolean;
        }

        function default_selector_new(): BaseSelector;
        function default_selector_type(): GObject.GType;
        function fileobj_to_fd(fileobj: GObject.Object): number;
        function get_major_version(): number;
        function get_micro_version(): number;
        function get_minor_version(): number;

        /** The selector of a main context, or of the default context. */
        function main_context_get_selector(context: GLib.MainContext | null): BaseSelector;

        /** The domain of errors of the system, whose codes are errno. */
        function os_error_domain(): GLib.Quark;
        function selector_error_quark(): GLib.Quark;
    }

    export default Sel;
}

declare module 'gi://Sel' {
    import Sel from 'gi://Sel?version=1.0';
    export default Sel;
}

// For imports.gi.Sel.
interface GjsGiImports {
    Sel: typeof import('gi://Sel?version=1.0').default;
}
