/** Methods of the app's objects: which ones there are, and own ones in front of them. */

export type Method = (this: unknown, ...args: unknown[]) => unknown;
export type Watched = Record<PropertyKey, unknown>;

export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

export function hasMethod(value: object, name: PropertyKey): boolean {
  try {
    return typeof (value as Watched)[name] === "function";
  } catch {
    return false; // a getter of the app's
  }
}

export function hasMethods(value: object, names: readonly PropertyKey[]): boolean {
  return names.every((name) => hasMethod(value, name));
}

/** Return whether *value* is a promise or another thenable. Calling its `then` may start the work. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return isObject(value) && hasMethod(value, "then");
}

/** Put an own method in front of that of *target*. Return false for an object that cannot be changed. */
export function replace(target: object, name: PropertyKey, value: Method): boolean {
  const property = { value, configurable: true, enumerable: false, writable: true };
  try {
    return Reflect.defineProperty(target, name, property);
  } catch {
    return false; // a proxy of the app's
  }
}

/** Call *note* with each result of a method of *target*. */
export function after(target: object, name: PropertyKey, note: (result: unknown) => void): boolean {
  if (!hasMethod(target, name)) return false;
  const original = (target as Watched)[name] as Method;
  return replace(target, name, (...args) => {
    const result = original.apply(target, args);
    note(result);
    return result;
  });
}

/** Call *note* with the arguments of each call of a method of *target*, before the call. */
export function before(target: object, name: PropertyKey, note: (args: unknown[]) => void): boolean {
  if (!hasMethod(target, name)) return false;
  const original = (target as Watched)[name] as Method;
  return replace(target, name, function (...args) {
    note(args);
    return original.apply(this, args);
  });
}

// A stream counts as dropped when it is collected, which may be while the app reads an iterator or a branch of it.
const STREAM_OF = new WeakMap<object, object>();

/** Keep *stream* as long as the app keeps *part*, an iterator or a branch of it. */
export function keepWith(part: object, stream: object): void {
  STREAM_OF.set(part, stream);
}
